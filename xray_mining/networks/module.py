"""The LightningModule: one network, one objective, and settings that depend on the number of the step."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from torch import Tensor, nn

from xray_mining.networks.backbones import Backbone, load_backbone
from xray_mining.networks.chance import seeded
from xray_mining.networks.data import Batch, Schedule
from xray_mining.networks.device import training_precision
from xray_mining.networks.heads import Head, Range, make_head
from xray_mining.networks.losses import Loss
from xray_mining.networks.options import TrainingOptions
from xray_mining.records.cohort import Target


class Network(nn.Module):
    """Backbone, dropout and head."""

    def __init__(self, backbone: Backbone, head: Head, dropout: float) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, side, side) uint8 → raw outputs of the head."""
        return self.head(self.dropout(self.backbone(images.float() / 255)))

    @torch.inference_mode()
    def predict(self, images: Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """(n, 1, side, side) uint8 → values float64 (n,) or (n, classes), and spread (n,) or None."""
        self.eval()
        values, spread = self.head.decode(self(images).float())
        return values.double().cpu().numpy(), None if spread is None else spread.double().cpu().numpy()


def make_network(options: TrainingOptions, head: str, target: Target, known: Range, seed: int) -> Network:
    """The network of an experiment, with loaded weights and a random head (by `seed`)."""
    backbone = load_backbone(options.backbone, options.weights, options.weights_licence, options.side_px, seed)
    with seeded(seed % 2**63):
        return Network(backbone, make_head(head, backbone.width, target, known), options.dropout)


Objective = Callable[[Network, Batch], Tensor]
"""(network, batch) → the scalar that training minimises."""


@dataclass(frozen=True, slots=True)
class Supervised:
    """The objective of supervised training: the weighted mean loss of a batch."""

    loss: Loss

    def __call__(self, network: Network, batch: Batch) -> Tensor:
        """Sum of the images' losses, each multiplied by its share."""
        raw = network(batch.images)
        # In half precision, ages would be rounded to a quarter of a year, and numbers above 65,504 would overflow.
        with torch.autocast(raw.device.type, enabled=False):
            return (self.loss.compute(raw.float(), batch.truths, network.head) * batch.shares).sum()


class Learner(lightning.LightningModule):
    """Trains a network by an objective.

    Learning rate, random numbers of dropout and frozen parts depend on the step's number alone, so that a fit can
    continue after an interruption with the same result.
    """

    def __init__(self, network: Network, objective: Objective, options: TrainingOptions, schedule: Schedule) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.options = options
        self.schedule = schedule
        self.step = 0
        """Number of the next step, counted from the start of training across restarts."""
        self.average: Network | None = copy.deepcopy(network) if options.average_weights else None
        if self.average is not None:
            self.average.requires_grad_(False)

    @property
    def judged(self) -> Network:
        """The network that predicts: the averaged network if weights are averaged."""
        return self.average if self.average is not None else self.network

    def rate(self, step: int) -> float:
        """Share of the full learning rate at a step: it rises linearly, then falls to 1 % along half a cosine."""
        rise = self.options.warmup_epochs * self.schedule.steps_an_epoch
        if step < rise:
            return (step + 1) / (rise + 1)
        done = (step - rise) / max(1.0, self.schedule.steps - rise)
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def holds_backbone(self, step: int) -> bool:
        """Whether the backbone is frozen at this step."""
        factor = self.options.backbone_learning_rate_factor
        return factor == 0 or self.schedule.epoch(step) < self.options.frozen_epochs

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW with separate rates for backbone and head; no decay for biases, norms and other vectors."""
        groups: list[dict[str, Any]] = []
        parts = (
            (self.network.backbone, self.options.backbone_learning_rate_factor),
            (self.network.head, 1.0),
        )
        for part, factor in parts:
            rate = self.options.learning_rate * factor
            for decays in (True, False):
                chosen = [each for each in part.parameters() if (each.ndim > 1) == decays]
                decay = self.options.weight_decay if decays else 0.0
                groups.append({"params": chosen, "lr": rate, "full_rate": rate, "weight_decay": decay})
        # In half precision a fused step unscales gradients itself, which is too late for clipping.
        return torch.optim.AdamW(groups, fused=self.options.precision == "32-true")

    def prepare_step(self) -> None:
        """Set learning rates and frozen parts for the next step."""
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        for group in optimizer.param_groups:
            group["lr"] = group["full_rate"] * self.rate(self.step)
        holds = self.holds_backbone(self.step)
        # A batch of one image has no batch statistics, so the norms keep their loaded statistics.
        alone = self.schedule.batch_size == 1
        if self.network.backbone.training != (not (holds or alone)) or not self.network.training:
            self.network.train()
            self.network.backbone.train(not (holds or alone))
        first = next(self.network.backbone.parameters())
        if first.requires_grad == holds:
            self.network.backbone.requires_grad_(not holds)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Called by Lightning before each step."""
        self.prepare_step()

    def optimizer_step(self, *given: Any, **named: Any) -> None:
        """Called by Lightning for each step: forward, backward and the change of the weights."""
        state = np.random.SeedSequence([self.schedule.seed % 2**32, self.step, self.trainer.global_rank])
        high, low = state.generate_state(2)
        with training_precision(), seeded(int(high) << 31 | int(low) >> 1):
            super().optimizer_step(*given, **named)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The objective of a batch."""
        return self.objective(self.network, batch)

    def finish_step(self) -> None:
        """Average the weights and count the step."""
        if self.average is not None:
            # Early averages decay faster, so that the average of a short training is not dominated by its start.
            decay = min(self.options.average_weights, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                for kept, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
                    kept.lerp_(new, 1 - decay)
                for kept, new in zip(self.average.buffers(), self.network.buffers(), strict=True):
                    kept.copy_(new)
        self.step += 1
