"""Several labels, each true or false: one logit for each."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from xray_mining.networks.heads import Head, Range
from xray_mining.networks.losses import Loss
from xray_mining.networks.registry import head, loss
from xray_mining.records.cohort import Target


class LabelsHead(Head):
    """One logit for each label."""

    def decode(self, raw: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, labels) → independent probabilities (n, labels)."""
        return torch.sigmoid(raw.float()), None


@head
def labels(width: int, target: Target, known: Range) -> Head:
    """Several labels, each true or false."""
    return LabelsHead(width, len(target.classes))


@loss
def masked_binary_cross_entropy() -> Loss:
    """Log loss of several labels, over those with a known truth."""
    return Loss("labels", _masked)


def _masked(raw: Tensor, truth: Tensor, head: Any) -> Tensor:
    known = torch.isfinite(truth)
    losses = functional.binary_cross_entropy_with_logits(raw, torch.where(known, truth, 0.0), reduction="none")
    # All losses have the same divisor, so every known answer has the same weight.
    return torch.where(known, losses, 0.0).sum(1) / raw.shape[1]
