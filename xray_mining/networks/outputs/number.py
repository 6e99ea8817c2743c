"""One number, standardised on the training data."""

from torch import Tensor, nn
from torch.nn import functional

from xray_mining.networks.heads import Head, Range
from xray_mining.networks.losses import Loss
from xray_mining.networks.registry import head, loss
from xray_mining.records.cohort import Target


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


@head
def number(width: int, target: Target, known: Range) -> Head:
    """A number by direct regression."""
    return NumberHead(width, known)


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
