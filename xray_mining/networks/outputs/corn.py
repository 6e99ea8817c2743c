"""Ordered levels: one logit for each step upwards (CORN: Shi, Cao, Raschka 2021, arXiv:2111.08851)."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from xray_mining.networks.heads import Head, Range
from xray_mining.networks.losses import Loss
from xray_mining.networks.registry import head, loss
from xray_mining.records.cohort import Target


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


@head.named("corn")
def corn_head(width: int, target: Target, known: Range) -> Head:
    """Ordered levels."""
    return CornHead(width, max(len(target.classes), 2))


@loss
def corn() -> Loss:
    """Log loss of the steps upwards that each image reaches (CORN: Shi, Cao, Raschka 2021, arXiv:2111.08851)."""
    return Loss("corn", _corn)


def _corn(raw: Tensor, truth: Tensor, head: Any) -> Tensor:
    level = torch.arange(raw.shape[1], device=raw.device)
    above = (truth[:, None] > level).to(raw.dtype)
    losses = functional.binary_cross_entropy_with_logits(raw, above, reduction="none")
    # Images below a step have no loss for it. All losses have the same divisor, so every step of every image has the
    # same weight.
    return torch.where(truth[:, None] >= level, losses, 0.0).sum(1) / raw.shape[1]
