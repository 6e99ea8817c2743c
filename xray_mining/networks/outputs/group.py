"""Several labels, each image of one: one logit for each."""

import torch
from torch import Tensor
from torch.nn import functional

from xray_mining.networks.heads import Head, Range
from xray_mining.networks.losses import SMOOTHING, Loss
from xray_mining.networks.registry import head, loss
from xray_mining.records.cohort import Target


class GroupHead(Head):
    """One logit for each class."""

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, classes) → probabilities (n, classes)."""
        return torch.softmax(raw.float(), dim=1), None


@head
def group(width: int, target: Target, known: Range) -> Head:
    """Two or more labels."""
    return GroupHead(width, max(len(target.classes), 2))


@loss
def cross_entropy() -> Loss:
    """Log loss of several labels."""
    return Loss("group", lambda raw, truth, head: _several(raw, truth, 0.0))


@loss
def smoothed_cross_entropy() -> Loss:
    """Log loss of several labels, with a tenth of the label spread over all."""
    return Loss("group", lambda raw, truth, head: _several(raw, truth, SMOOTHING))


def _several(raw: Tensor, truth: Tensor, smoothing: float) -> Tensor:
    return functional.cross_entropy(raw, truth.long(), label_smoothing=smoothing, reduction="none")
