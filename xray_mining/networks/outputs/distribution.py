"""A number as the mean of a distribution over bins of the target's range."""

from typing import Any

import torch
from torch import Tensor, nn

from xray_mining.networks.heads import Head, Range
from xray_mining.networks.losses import Loss
from xray_mining.networks.registry import head, loss
from xray_mining.records.cohort import Target

BINS = 64


class DistributionHead(Head):
    """A distribution over bins of the target's range: its mean is the value, its deviation the spread.

    Deep label distribution learning (Gao et al. 2018, arXiv:1807.00140). The bins cover the training range, widened by
    a tenth on both sides so that values at the ends are not biased inwards.
    """

    centres: Tensor

    def __init__(self, width: int, known: Range) -> None:
        super().__init__(width, BINS)
        self.known = known
        margin = 0.1 * (known.high - known.low) or known.scale
        centres = torch.linspace(known.low - margin, known.high + margin, BINS)
        self.register_buffer("centres", centres, persistent=False)
        self.deviation = max(0.15 * known.scale, 1.5 * float(centres[1] - centres[0]))
        """Standard deviation of a truth's soft label, in the target's unit."""
        nn.init.zeros_(self.layer.weight)
        with torch.no_grad():
            # Start with the distribution of the training data, so that the first steps need not learn it.
            self.layer.bias.copy_(-0.5 * ((centres - known.centre) / known.scale) ** 2)

    def labels(self, truth: Tensor) -> Tensor:
        """Truth (n,) → its distribution over the bins (n, bins)."""
        return torch.softmax(-0.5 * ((self.centres - truth[:, None]) / self.deviation) ** 2, dim=1)

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, bins) → mean (n,) and standard deviation (n,) in the target's unit."""
        share = torch.softmax(raw.float(), dim=1)
        mean = share @ self.centres
        variance = (share * (self.centres - mean[:, None]) ** 2).sum(1)
        return mean, variance.clamp_min(0).sqrt()


@head
def distribution(width: int, target: Target, known: Range) -> Head:
    """A number as the mean of a distribution."""
    return DistributionHead(width, known)


@loss
def soft_labels() -> Loss:
    """Cross entropy with the truth's soft label, and the absolute error of the distribution's mean (DLDL-v2)."""
    return Loss("distribution", _soft_labels)


def _soft_labels(raw: Tensor, truth: Tensor, head: Any) -> Tensor:
    divergence = -(head.labels(truth) * torch.log_softmax(raw, dim=1)).sum(1)
    mean, _ = head.decode(raw)
    return divergence + (mean - truth).abs() / head.known.scale
