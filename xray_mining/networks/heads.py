"""Heads: from pooled features to raw outputs, and from raw outputs to values. Each is a file in `networks/outputs`."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from xray_mining.networks.registry import head
from xray_mining.records.cohort import Target


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


def make_head(name: str, width: int, target: Target, known: Range) -> Head:
    """The registered head `name` on `width` features."""
    made: Any = head.find(name)(width, target, known)
    return made
