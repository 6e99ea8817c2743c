"""The course of a fit: validation at the end of each epoch, checkpoints, early stopping, progress."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch

from xray_mining.errors import CannotFinish
from xray_mining.networks.data import Radiographs
from xray_mining.networks.device import full_precision
from xray_mining.networks.module import Learner
from xray_mining.networks.prediction import predict_dataset, save_tensors
from xray_mining.progress import Bar

ValidationError = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
"""(values, truths, weights), one row for each image → the error that selects the epoch; inf if it is not finite."""


@dataclass(slots=True)
class Course:
    """State of a fit after some epochs; part of last.ckpt and of the model file."""

    best_error: float = math.inf
    best_epoch: int = -1
    waited: int = 0
    """Epochs since the best one."""
    ended: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    """One row for each epoch: epoch, training_loss, validation_error, learning_rate."""


Errors = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Values and truths of n images → the error of each, (n,)."""


def validation_error(values: np.ndarray, truths: np.ndarray, weights: np.ndarray, errors: Errors) -> float:
    """The weighted mean of `errors`; inf if it is not finite.

    Computed from all predictions together; means of ranks or batches would give another result.
    """
    error = float(np.average(errors(values, truths), weights=weights if weights.sum() > 0 else None))
    return error if math.isfinite(error) else math.inf


class Watch(lightning.Callback):
    """Evaluates each epoch on the validation images, saves the best network and checkpoints to continue from."""

    def __init__(
        self, validation: Radiographs, error: ValidationError, home: Path, identity: str, checkpoint_seconds: float
    ) -> None:
        self.validation = validation
        self.error = error
        self.home = home
        self.identity = identity
        self.checkpoint_seconds = checkpoint_seconds
        self.course = Course()
        self.bar: Bar | None = None
        self._optimizer_state: Any = None
        self._saved_at = time.monotonic()
        self._losses: list[torch.Tensor] = []

    def __getstate__(self) -> dict[str, Any]:
        # The progress bar cannot be sent to the processes that Lightning starts.
        return {**self.__dict__, "bar": None}

    def resume(self, learner: Learner) -> bool:
        """Continue from last.ckpt if it belongs to this fit; False if there is no such checkpoint.

        A damaged checkpoint is reported on standard error, and training starts from its first epoch.

        Raises:
            CannotFinish: If the disk or the memory fails: the checkpoint may be whole, and may hold days of training.
        """
        path = self.home / "last.ckpt"
        if not path.is_file():
            return False
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            identity = saved["identity"]
        except (OSError, MemoryError) as error:
            why = getattr(error, "strerror", None) or "too little memory"
            raise CannotFinish(
                f"{self.home.name}/{path.name}: cannot be read ({why}); correct that, then repeat the same command: "
                f"training continues from it"
            ) from error
        except Exception as error:
            # torch has many errors for a file that is cut off or damaged, or that another version wrote.
            print(
                f"{self.home.name}/{path.name}: cannot be read ({type(error).__name__}); training starts from its "
                f"first epoch",
                file=sys.stderr,
                flush=True,
            )
            return False
        if identity != self.identity:
            return False
        learner.load_state_dict(saved["learner"])
        learner.step = saved["step"]
        self.course = Course(**saved["course"])
        self._losses = [torch.tensor(each) for each in saved["losses"]]
        self._optimizer_state = saved["optimizer"]
        return True

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Restore the optimizer's state, which is possible only after Lightning has created the optimizer."""
        if self._optimizer_state is not None:
            optimizer: Any = pl_module.optimizers(use_pl_optimizer=False)
            optimizer.load_state_dict(self._optimizer_state["optimizer"])
            if self._optimizer_state["precision"]:
                trainer.precision_plugin.load_state_dict(self._optimizer_state["precision"])
            self._optimizer_state = None

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the step, evaluate at the end of an epoch, and write a checkpoint when it is due."""
        learner: Any = pl_module
        step = learner.step
        rate = learner.rate(step)
        learner.finish_step()
        self._losses.append(outputs["loss"].detach())
        epoch_ended = learner.schedule.ends_epoch(step)
        if epoch_ended:
            self._judge(trainer, learner, learner.schedule.epoch(step), rate)
        if self.bar is not None:
            self.bar.advance(len(batch.rows) * trainer.world_size, epoch=learner.schedule.epoch(step) + 1)
        # Save immediately when training ends, so that a fit killed after that does not train again.
        if self.course.ended or time.monotonic() - self._saved_at >= self.checkpoint_seconds:
            self._save(trainer, learner)

    def _judge(self, trainer: lightning.Trainer, learner: Learner, epoch: int, rate: float) -> None:
        training_loss = float(torch.stack([each.cpu().float() for each in self._losses]).mean())
        self._losses = []
        if not math.isfinite(training_loss):
            raise CannotFinish(
                f"training: the loss is no longer a number in epoch {epoch + 1}; lower learning_rate or set precision "
                f"to 32-true"
            )
        course = self.course
        error = self._validate(trainer, learner)
        row = {"epoch": float(epoch + 1), "training_loss": training_loss, "validation_error": error}
        course.history.append({**row, "learning_rate": learner.options.learning_rate * rate})
        # Without validation images the error is nan, and the last epoch is kept.
        if error < course.best_error or math.isnan(error):
            course.best_error, course.best_epoch, course.waited = error, epoch, 0
            if trainer.is_global_zero:
                state = {name: tensor.cpu() for name, tensor in learner.judged.state_dict().items()}
                judged = {"identity": self.identity, "epoch": epoch, "error": error, "state": state}
                save_tensors(self.home / "best.ckpt", judged)
        else:
            course.waited += 1
        if course.waited >= learner.options.patience or epoch + 1 == learner.schedule.epochs:
            course.ended = True
            trainer.should_stop = True

    def _validate(self, trainer: lightning.Trainer, learner: Learner) -> float:
        """Error on the validation images; nan if there are none."""
        if not len(self.validation):
            return math.nan
        rank, ranks = trainer.global_rank, trainer.world_size
        # Predict in full precision as at the end of the fit, because this error selects the epoch.
        with full_precision():
            rows, values, _ = predict_dataset(
                learner.judged, self.validation, learner.options.batch_size, learner.device, rank=rank, ranks=ranks
            )
        if ranks > 1:
            gathered: list[Any] = [None] * ranks
            torch.distributed.all_gather_object(gathered, (rows, values))
            rows, values = joined(gathered)
        return self.error(values, self.validation.truths[rows], self.validation.weights[rows])

    def _save(self, trainer: lightning.Trainer, learner: Learner) -> None:
        if trainer.is_global_zero:
            optimizer: Any = learner.optimizers(use_pl_optimizer=False)
            save_tensors(
                self.home / "last.ckpt",
                {
                    "identity": self.identity,
                    "step": learner.step,
                    "learner": learner.state_dict(),
                    "course": asdict(self.course),
                    "losses": [float(each) for each in self._losses],
                    "optimizer": {
                        "optimizer": optimizer.state_dict(),
                        "precision": trainer.precision_plugin.state_dict(),
                    },
                },
            )
        self._saved_at = time.monotonic()


def joined(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and values of all ranks; a rank without images is left out, because its array has no class axis."""
    filled = [part for part in parts if len(part[0])]
    return np.concatenate([rows for rows, _ in filled]), np.concatenate([values for _, values in filled])
