"""Losses: a value for each image from raw outputs and truths. Each is in the file of its head in `networks/outputs`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from xray_mining.errors import UserError
from xray_mining.networks.registry import loss

SMOOTHING = 0.1


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss function and the head that it needs."""

    head: str
    """Name of the registered head whose outputs it takes."""
    compute: Callable[[Tensor, Tensor, Any], Tensor]
    """(raw outputs (n, outputs), truths (n,), the head) → (n,), one value for each image."""


def find_loss(name: str, default: str, heads: Sequence[str], what: str) -> tuple[str, Loss]:
    """The named loss and its name.

    Args:
        name: Name of a registered loss; 'auto' takes `default`.
        default: The loss of this kind of target.
        heads: Heads whose values are of this kind of target.
        what: The target in error messages, such as "the number target age_years".

    Raises:
        UserError: If there is no such loss, or it needs another head.
    """
    if name == "auto":
        name = default
    made: Loss = loss.find(name, also=["auto"])()
    if made.head not in heads:
        fitting = [each for each in loss.names() if loss.find(each)().head in heads]
        raise UserError(f"loss: '{name}' is not for {what}; take one of {', '.join(fitting)}")
    return name, made
