"""Losses: one value for each image from raw outputs and truths; each loss names the head that it needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

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


@loss
def l1() -> Loss:
    """Absolute error of the standardised number."""
    return Loss("number", lambda raw, truth, head: (raw[:, 0] - head.standardised(truth)).abs())


@loss
def smooth_l1() -> Loss:
    """Huber's error of the standardised number: squared below half a deviation, absolute above."""
    return Loss(
        "number",
        lambda raw, truth, head: functional.smooth_l1_loss(
            raw[:, 0], head.standardised(truth), beta=0.5, reduction="none"
        ),
    )


@loss
def mse() -> Loss:
    """Squared error of the standardised number."""
    return Loss("number", lambda raw, truth, head: (raw[:, 0] - head.standardised(truth)) ** 2)


@loss
def soft_labels() -> Loss:
    """Cross entropy with the truth's soft label, and the absolute error of the distribution's mean (DLDL-v2)."""
    return Loss("distribution", _soft_labels)


def _soft_labels(raw: Tensor, truth: Tensor, head: Any) -> Tensor:
    divergence = -(head.labels(truth) * torch.log_softmax(raw, dim=1)).sum(1)
    mean, _ = head.decode(raw)
    return divergence + (mean - truth).abs() / head.known.scale


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


@loss
def masked_binary_cross_entropy() -> Loss:
    """Log loss of several labels, over those with a known truth."""
    return Loss("labels", _masked)


def _masked(raw: Tensor, truth: Tensor, head: Any) -> Tensor:
    known = torch.isfinite(truth)
    losses = functional.binary_cross_entropy_with_logits(raw, torch.where(known, truth, 0.0), reduction="none")
    # All losses have the same divisor, so every known answer has the same weight.
    return torch.where(known, losses, 0.0).sum(1) / raw.shape[1]
