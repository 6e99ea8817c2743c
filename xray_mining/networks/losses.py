"""Losses: one value an image from raw outputs and truths; each says which head and which targets it is for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from xray_mining.errors import UserError
from xray_mining.networks.registry import loss
from xray_mining.records.cohort import Target

NUMBERS = ("number", "ordinal")
SMOOTHING = 0.1


@dataclass(frozen=True, slots=True)
class Loss:
    """How wrong raw outputs are."""

    head: str
    """Name of the registered head whose outputs it reads."""
    kinds: tuple[str, ...]
    """Kinds of target it is for."""
    compute: Callable[[Tensor, Tensor, Any], Tensor]
    """(raw outputs (n, outputs), truths (n,), the head) → (n,), one value an image."""


DEFAULTS = {
    "number": "soft_labels",
    "ordinal": "soft_labels",
    "binary": "binary_cross_entropy",
    "group": "cross_entropy",
}


def find_loss(name: str, target: Target) -> tuple[str, Loss]:
    """The named loss ('auto': the target kind's own) and its name; UserError where it is not for such a target."""
    if name == "auto":
        name = DEFAULTS[target.kind]
    made: Loss = loss.find(name, also=["auto"])()
    if target.kind not in made.kinds:
        fitting = [each for each in loss.names() if target.kind in loss.find(each)().kinds]
        raise UserError(
            f"loss: '{name}' is not for the {target.kind} target {target.name}; take one of {', '.join(fitting)}"
        )
    return name, made


@loss
def l1() -> Loss:
    """Absolute error of the standardised number."""
    return Loss("number", NUMBERS, lambda raw, truth, head: (raw[:, 0] - head.standardised(truth)).abs())


@loss
def smooth_l1() -> Loss:
    """Huber's error of the standardised number: squared below half a deviation, absolute above."""
    return Loss(
        "number",
        NUMBERS,
        lambda raw, truth, head: functional.smooth_l1_loss(
            raw[:, 0], head.standardised(truth), beta=0.5, reduction="none"
        ),
    )


@loss
def mse() -> Loss:
    """Squared error of the standardised number."""
    return Loss("number", NUMBERS, lambda raw, truth, head: (raw[:, 0] - head.standardised(truth)) ** 2)


@loss
def soft_labels() -> Loss:
    """Cross entropy with the truth's soft label, and the absolute error of the distribution's mean (DLDL-v2)."""
    return Loss("distribution", NUMBERS, _soft_labels)


def _soft_labels(raw: Tensor, truth: Tensor, head: Any) -> Tensor:
    divergence = -(head.labels(truth) * torch.log_softmax(raw, dim=1)).sum(1)
    mean, _ = head.decode(raw)
    return divergence + (mean - truth).abs() / head.known.scale


@loss
def binary_cross_entropy() -> Loss:
    """Log loss of two labels."""
    return Loss("binary", ("binary",), lambda raw, truth, head: _binary(raw, truth, 0.0))


@loss
def smoothed_binary_cross_entropy() -> Loss:
    """Log loss of two labels, a tenth of the label spread over both."""
    return Loss("binary", ("binary",), lambda raw, truth, head: _binary(raw, truth, SMOOTHING))


def _binary(raw: Tensor, truth: Tensor, smoothing: float) -> Tensor:
    soft = truth * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(raw[:, 0], soft, reduction="none")


@loss
def cross_entropy() -> Loss:
    """Log loss of several labels."""
    return Loss("group", ("binary", "group"), lambda raw, truth, head: _several(raw, truth, 0.0))


@loss
def smoothed_cross_entropy() -> Loss:
    """Log loss of several labels, a tenth of the label spread over all."""
    return Loss("group", ("binary", "group"), lambda raw, truth, head: _several(raw, truth, SMOOTHING))


def _several(raw: Tensor, truth: Tensor, smoothing: float) -> Tensor:
    return functional.cross_entropy(raw, truth.long(), label_smoothing=smoothing, reduction="none")
