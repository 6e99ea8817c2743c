"""One fit of a network: train, continue after an interruption, keep the best epoch, predict."""

import contextlib
import logging
import signal
import threading
import warnings
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from pytorch_lightning.trainer import trainer as lightning_trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.seed import isolate_rng

from xray_mining.errors import CannotFinish, UserError
from xray_mining.networks.augment import Augmenter
from xray_mining.networks.chance import undisturbed
from xray_mining.networks.course import Course, ValidationError, Watch
from xray_mining.networks.data import Radiographs, Schedule, TrainingSteps, loader
from xray_mining.networks.device import enough_memory, full_precision, workers_of
from xray_mining.networks.heads import Range
from xray_mining.networks.losses import Loss
from xray_mining.networks.module import Learner, Network, Supervised, make_network
from xray_mining.networks.options import TrainingOptions
from xray_mining.networks.prediction import load_model, predict_dataset, save_model
from xray_mining.networks.weights import find_weights
from xray_mining.pixels.store import PixelStore
from xray_mining.pixels.variants import changed
from xray_mining.process_settings import Shared, attribute, log_level, warning_filters
from xray_mining.progress import progress
from xray_mining.records.cohort import Target
from xray_mining.stated_files import placeless
from xray_mining.workspace import digest_of, sweep, versions, write_json

# A killed fit loses at most this time and one step of work.
CHECKPOINT_SECONDS = 30.0
# Longest gradient, so that a single unusual image cannot destroy the weights.
CLIP_NORM = 1.0


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Target and data of one network, as keys and arrays; rows number the images from 0."""

    target: Target
    loss_name: str
    loss: Loss
    error: ValidationError
    """Error of the predictions of validation images; the epoch with the smallest error is kept."""
    image_keys: Sequence[str]
    truths: np.ndarray
    """Truth of each image, (n,) or (n, labels); nan if unknown."""
    weights: np.ndarray
    """(n,) share of each image in losses and errors."""
    training: np.ndarray
    """Rows to train on, int64."""
    validation: np.ndarray
    """Rows with known truths for selecting the epoch; may be empty."""
    predicted: np.ndarray
    """Rows to predict at the end."""
    digest: str
    """Digest of the images, their truths and roles."""
    rotation: int
    seed: int


@dataclass(frozen=True, slots=True)
class _Job:
    """Options and data that all functions of one fit need."""

    options: TrainingOptions
    data: TrainingData
    store: PixelStore
    home: Path
    identity: str
    checkpoint_seconds: float

    def dataset(self, rows: np.ndarray, augmenter: Augmenter | None = None) -> Radiographs:
        """These rows of the images with their truths and weights."""
        data = self.data
        keys = [data.image_keys[row] for row in rows]
        truths, weights = data.truths[rows], data.weights[rows]
        return Radiographs(self.store, keys, truths, weights, self.options.side_px, augmenter=augmenter)


def train(
    options: TrainingOptions,
    data: TrainingData,
    store: PixelStore,
    grey: Mapping[str, Any],
    folder: Path,
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Train on the training rows with early stopping on the validation rows, and predict.

    Files of the fit are in `folder`/rotation<r>-seed<s>: last.ckpt and best.ckpt while it trains, model.pt (for
    `predict`) and model.json when it is done. Called again after a kill it continues from last.ckpt (on a CPU with the
    same bits); called again after the end it only predicts.

    Args:
        options: Options of the network and its training.
        data: Target, images, truths and roles.
        store: The pixel store with the pictures.
        grey: Grey options of the store's pictures; saved in the model file, so that new pictures are made in the same
            way.
        folder: Parent of the fit's folder.
        checkpoint_seconds: Time between checkpoints.

    Returns:
        Values of the predicted rows, (n,) in the target's unit or (n, classes) probabilities, and their spread, (n,)
        or None.

    Raises:
        UserError: If options or data cannot be trained on.
        CannotFinish: If training diverges, or memory or disk is full.
    """
    # A finished fit of the same identity is loaded; only its predictions are computed again.
    home = folder / f"rotation{data.rotation}-seed{data.seed}"
    home.mkdir(parents=True, exist_ok=True)
    sweep(home)
    device = _device(options)
    identity = _identity(options, data, store)
    job = _Job(options, data, store, home, identity, checkpoint_seconds)
    network = _finished(home / "model.pt", identity)
    if network is None:
        network = _trained(job, grey)
    for leftover in ("last.ckpt", "best.ckpt"):
        (home / leftover).unlink(missing_ok=True)
    with enough_memory(options.backbone, options.batch_size, options.side_px), full_precision():
        _, values, spread = predict_dataset(
            network.to(device), job.dataset(data.predicted), options.batch_size, device, workers=options.workers or 0
        )
    return values, spread


def _trained(job: _Job, grey: Mapping[str, Any]) -> Network:
    """The trained network with the weights of its best epoch; model.pt and model.json are written."""
    options, data, home = job.options, job.data, job.home
    truths = data.truths[data.training]
    known = Range.of(truths[np.isfinite(truths)])
    network = make_network(options, data.loss.head, data.target, known, data.seed)
    facts = {
        "identity": job.identity,
        "options": placeless(options),
        "target": {**asdict(data.target), "classes": list(data.target.classes)},
        "loss": data.loss_name,
        "head": data.loss.head,
        "known": known.as_dict(),
        "channels": network.backbone.channels,
        "mean": list(network.backbone.mean),
        "std": list(network.backbone.std),
        "licence": network.backbone.licence,
        "weights_digest": network.backbone.digest,
        "store": job.store.name,
        "grey": grey,
        "rotation": data.rotation,
        "seed": data.seed,
        "versions": dict(versions()),
    }
    # Training keeps the best epoch in a file, because in several processes its network is lost when they end.
    course = _train(network, job)
    if not (home / "best.ckpt").is_file():
        raise CannotFinish(
            f"rotation {data.rotation}, seed {data.seed}: no epoch gave finite predictions of the validation images; "
            f"lower learning_rate, or set precision to 32-true"
        )
    best = torch.load(home / "best.ckpt", map_location="cpu", weights_only=True)
    network.load_state_dict(best["state"])
    facts["course"] = asdict(course)
    save_model(home / "model.pt", network, facts)
    write_json(facts, home / "model.json")
    return network


def predict_changed(
    home: Path, options: TrainingOptions, store: PixelStore, image_keys: Sequence[str], variant: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predictions of the finished fit in `home` for changed pictures, in the form of SavedModel.predict."""
    saved = load_model(home / "model.pt")
    values, spreads = [], []
    with enough_memory(options.backbone, options.batch_size, options.side_px), full_precision():
        saved.network.to(_device(options))
        for first in range(0, len(image_keys), options.batch_size):
            keys = image_keys[first : first + options.batch_size]
            value, spread = saved.predict(changed(store.read(keys), store.content_boxes(keys), variant))
            values.append(value)
            spreads.append(spread)
    known = [each for each in spreads if each is not None]
    return np.concatenate(values), np.concatenate(known) if known else None


def _identity(options: TrainingOptions, data: TrainingData, store: PixelStore) -> str:
    """Digest of everything that determines the result; the number of processes does not."""
    source = find_weights(options.backbone, options.weights, options.weights_licence)
    chosen = options.model_dump(mode="json", exclude={"accelerator", "devices", "workers", "weights_licence"})
    if source.kind == "file":
        chosen["weights"] = "file"
    return digest_of(
        {
            "options": chosen,
            "weights": source.digest,
            "target": asdict(data.target),
            "rotation": data.rotation,
            "seed": data.seed,
            "images": data.digest,
            "store": store.name,
        }
    )


def _finished(path: Path, identity: str) -> Network | None:
    """The network of an earlier, finished run of the same fit; None if there is none."""
    if not path.is_file():
        return None
    try:
        saved = load_model(path)
    except UserError:
        return None
    return saved.network if saved.facts.get("identity") == identity else None


def _device(options: TrainingOptions) -> torch.device:
    """The device of a single process; UserError if the machine lacks the requested devices."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if options.accelerator == "gpu" and not gpus:
        raise UserError("accelerator: 'gpu' is requested but none was found; set it to 'auto' or 'cpu'")
    on_gpu = gpus > 0 and options.accelerator != "cpu"
    if on_gpu and options.devices > gpus:
        raise UserError(f"devices: {options.devices} are requested but {gpus} were found; lower it")
    if options.devices > options.batch_size:
        raise UserError(f"devices: {options.devices} cannot share batches of {options.batch_size}; raise batch_size")
    return torch.device("cuda" if on_gpu else "cpu")


def _train(network: Network, job: _Job) -> Course:
    """Train to the end; afterwards best.ckpt has the best epoch."""
    options, data = job.options, job.data
    training = job.dataset(data.training, Augmenter(options.augment, data.seed))
    validation = job.dataset(data.validation)
    schedule = Schedule(len(training), options.batch_size, options.epochs, data.seed)
    if options.devices > schedule.images // schedule.steps_an_epoch:
        raise UserError(
            f"devices: {options.devices} cannot share {schedule.images} training images in batches of "
            f"{options.batch_size}, because one device would get none; lower devices"
        )
    watch = Watch(validation, data.error, job.home, job.identity, job.checkpoint_seconds)
    with _quiet_lightning():
        learner = Learner(network, Supervised(data.loss), options, schedule)
        if watch.resume(learner) and watch.course.ended:
            return watch.course
        trainer = _trainer(options, watch)
        ranks = trainer.world_size
        steps = TrainingSteps(schedule, learner.step, trainer.global_rank, ranks)
        device = _device(options)
        batches = loader(training, steps, workers_of(options, device), pinned=device.type == "cuda")
        label = f"rotation {data.rotation}, seed {data.seed}"
        done = round(learner.step * schedule.images / schedule.steps_an_epoch)
        with (
            progress(schedule.epochs * schedule.images, label, done=done) as bar,
            enough_memory(options.backbone, options.batch_size, options.side_px),
        ):
            watch.bar = bar
            with _interruptible():
                trainer.fit(learner, batches)
            watch.bar = None
    if trainer.world_size > 1:
        # The training processes have ended, so read the course of the fit from their last checkpoint.
        watch.resume(learner)
    return watch.course


def _trainer(options: TrainingOptions, watch: Watch) -> lightning.Trainer:
    """A Trainer that only trains; `course` computes epochs, validation and checkpoints from the step's number."""
    on_gpu = _device(options).type == "cuda"
    several = options.devices > 1
    strategy = "auto"
    if several:
        strategy = "ddp_spawn_find_unused_parameters_true" if options.frozen_epochs else "ddp_spawn"
    return lightning.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=options.devices,
        strategy=strategy,
        # On a CPU half precision is slower and gives other results.
        precision=options.precision if on_gpu else "32-true",
        max_epochs=1,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        gradient_clip_val=CLIP_NORM,
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        deterministic="warn" if on_gpu else None,
        benchmark=False,
    )


_FEWER_LOGS = [
    Shared(partial(log_level, name, logging.ERROR))
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric")
]
# Warnings of other packages are not silenced, because filters are valid for all threads.
_FEWER_WARNINGS = partial(
    warnings.filterwarnings,
    "ignore",
    module=r"(pytorch_lightning|lightning_fabric|torch|torchvision|timm|xray_mining\.networks)(\.|$)",
)


@contextlib.contextmanager
def _isolated(include_cuda: bool = True) -> Generator[None]:
    """Lightning's `isolate_rng`, while no other thread takes a step.

    Lightning saves the random state before its sanity check and restores it afterwards. In the middle of another
    thread's step it would save the state of that step, and the other model would depend on the moment.
    """
    with undisturbed(), isolate_rng(include_cuda):
        yield


_ISOLATED = Shared(partial(attribute, lightning_trainer, "isolate_rng", _isolated))


@contextlib.contextmanager
def _quiet_lightning() -> Generator[None]:
    """Suppress the messages of Lightning and torch, which the bar and the summary replace; see `_isolated` too."""
    with contextlib.ExitStack() as changes:
        for each in _FEWER_LOGS:
            changes.enter_context(each)
        changes.enter_context(warning_filters(_FEWER_WARNINGS))
        changes.enter_context(_ISOLATED)
        yield


@contextlib.contextmanager
def _interruptible() -> Generator[None]:
    """Raise KeyboardInterrupt after Ctrl-C, which Lightning turns into an exit; exit with a failure after SIGTERM."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        if isinstance(error, SIGTERMException):
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
