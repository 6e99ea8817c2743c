"""Heads: from pooled features to raw outputs for a kind of target, and from raw outputs to values."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xray_mining.networks.registry import head
from xray_mining.records.cohort import Target

BINS = 64


@dataclass(frozen=True, slots=True)
class Range:
    """Centre, scale and range of a numeric target, computed from training images only."""

    centre: float
    scale: float
    low: float
    high: float

    @classmethod
    def of(cls, truths: np.ndarray) -> "Range":
        """Mean, standard deviation (1 if all are equal), smallest and largest of the training truths (n,)."""
        scale = float(truths.std())
        return cls(float(truths.mean()), scale if scale > 0 else 1.0, float(truths.min()), float(truths.max()))

    def as_dict(self) -> dict[str, float]:
        """The values as a dictionary, for the model file."""
        return asdict(self)


class Head(nn.Module):
    """One linear layer, and the conversion of its outputs to values."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(n, width) → raw outputs (n, outputs)."""
        return self.layer(features)

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """Raw outputs → values (n,) in the target's unit or probabilities (n, classes); and the spread (n,) or None."""
        raise NotImplementedError


class NumberHead(Head):
    """One number, standardised on the training data."""

    def __init__(self, width: int, known: Range) -> None:
        super().__init__(width, 1)
        self.known = known
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def standardised(self, truth: Tensor) -> Tensor:
        """Truth (n,) in the target's unit → (n,) with mean 0 and deviation 1 over the training data."""
        return (truth - self.known.centre) / self.known.scale

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, 1) → values (n,) in the target's unit; no spread."""
        return raw[:, 0] * self.known.scale + self.known.centre, None


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


class BinaryHead(Head):
    """One logit for the positive label."""

    def __init__(self, width: int) -> None:
        super().__init__(width, 1)

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, 1) → probabilities (n, 2): of the other and of the positive label."""
        positive = torch.sigmoid(raw[:, :1].float())
        return torch.cat([1 - positive, positive], dim=1), None


class GroupHead(Head):
    """One logit for each class."""

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, classes) → probabilities (n, classes)."""
        return torch.softmax(raw.float(), dim=1), None


class CornHead(Head):
    """One logit for each level but the lowest: the level is exceeded or not, given that it is reached.

    Conditional ordinal regression (CORN: Shi, Cao, Raschka 2021, arXiv:2111.08851).
    """

    def __init__(self, width: int, levels: int) -> None:
        super().__init__(width, levels - 1)

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, levels - 1) → probabilities of the levels (n, levels)."""
        above = torch.cumprod(torch.sigmoid(raw.float()), dim=1)
        edge = torch.ones_like(above[:, :1])
        return torch.cat([edge, above], dim=1) - torch.cat([above, 0 * edge], dim=1), None


class LabelsHead(Head):
    """One logit for each label."""

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, labels) → independent probabilities (n, labels)."""
        return torch.sigmoid(raw.float()), None


@head
def number(width: int, target: Target, known: Range) -> Head:
    """A number by direct regression."""
    return NumberHead(width, known)


@head
def distribution(width: int, target: Target, known: Range) -> Head:
    """A number as the mean of a distribution."""
    return DistributionHead(width, known)


@head
def binary(width: int, target: Target, known: Range) -> Head:
    """Two labels."""
    return BinaryHead(width)


@head
def group(width: int, target: Target, known: Range) -> Head:
    """Two or more labels."""
    return GroupHead(width, max(len(target.classes), 2))


@head
def corn(width: int, target: Target, known: Range) -> Head:
    """Ordered levels."""
    return CornHead(width, max(len(target.classes), 2))


@head
def labels(width: int, target: Target, known: Range) -> Head:
    """Several labels, each true or false."""
    return LabelsHead(width, len(target.classes))


def make_head(name: str, width: int, target: Target, known: Range) -> Head:
    """The registered head `name` on `width` features."""
    made: Any = head.find(name)(width, target, known)
    return made
