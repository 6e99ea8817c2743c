"""Two labels: one logit for the positive one."""

import torch
from torch import Tensor
from torch.nn import functional

from xray_mining.networks.heads import Head, Range
from xray_mining.networks.losses import SMOOTHING, Loss
from xray_mining.networks.registry import head, loss
from xray_mining.records.cohort import Target


class BinaryHead(Head):
    """One logit for the positive label."""

    def __init__(self, width: int) -> None:
        super().__init__(width, 1)

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, 1) → probabilities (n, 2): of the other and of the positive label."""
        positive = torch.sigmoid(raw[:, :1].float())
        return torch.cat([1 - positive, positive], dim=1), None


@head
def binary(width: int, target: Target, known: Range) -> Head:
    """Two labels."""
    return BinaryHead(width)


@loss
def binary_cross_entropy() -> Loss:
    """Log loss of two labels."""
    return Loss("binary", lambda raw, truth, head: _binary(raw, truth, 0.0))


@loss
def smoothed_binary_cross_entropy() -> Loss:
    """Log loss of two labels, with a tenth of the label spread over both."""
    return Loss("binary", lambda raw, truth, head: _binary(raw, truth, SMOOTHING))


def _binary(raw: Tensor, truth: Tensor, smoothing: float) -> Tensor:
    soft = truth * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(raw[:, 0], soft, reduction="none")
