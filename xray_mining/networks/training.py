"""One fit of a network: train, go on after an interruption, keep the best, predict."""

import contextlib
import logging
import signal
import threading
import warnings
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException

from xray_mining.errors import CannotFinish, UserError
from xray_mining.models.fit import Fit, Fitted
from xray_mining.models.options import NetworkOptions, shown_options
from xray_mining.networks.augment import Augmenter
from xray_mining.networks.course import Course, Watch
from xray_mining.networks.data import Radiographs, Schedule, TrainingSteps, loader
from xray_mining.networks.device import enough_memory, full_precision, workers_of
from xray_mining.networks.heads import Range
from xray_mining.networks.losses import Loss, find_loss
from xray_mining.networks.module import Learner, Network, make_network
from xray_mining.networks.prediction import load_model, predict_dataset, save_model
from xray_mining.networks.weights import find_weights
from xray_mining.pixels.store import PixelStore, store_options
from xray_mining.pixels.variants import changed
from xray_mining.progress import progress
from xray_mining.workspace import Workspace, digest_of, digest_of_frame, sweep, versions, write_json

# A killed fit loses this much work at most, apart from one step.
CHECKPOINT_SECONDS = 30.0
# Longest gradient: one rare strange image must not throw the weights away.
CLIP_NORM = 1.0


@dataclass(frozen=True, slots=True)
class _Job:
    """What all steps of one fit need to know."""

    options: NetworkOptions
    fit: Fit
    store: PixelStore
    home: Path
    identity: str
    checkpoint_seconds: float

    def dataset(self, rows: np.ndarray, augmenter: Augmenter | None = None) -> Radiographs:
        """Rows of the fit's images with truths and weights."""
        keys = self.fit.images["image_key"].gather(rows).to_list()
        truths = np.nan_to_num(self.fit.truths())[rows]
        weights = self.fit.images["weight"].to_numpy()[rows]
        return Radiographs(self.store, keys, truths, weights, self.options.side_px, augmenter=augmenter)


def fit_network(
    workspace: Workspace,
    options: NetworkOptions,
    fit: Fit,
    folder: Path,
    *,
    store: PixelStore | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Fitted:
    """Train on the fit's training images, stop early by its validation images, predict validation and test images.

    Files of the fit are in `folder`/rotation<r>-seed<s>: last.ckpt and best.ckpt while it trains, model.pt (for
    `predict`) and model.json when it is done. Called again after a kill it goes on from last.ckpt, on a CPU to the
    same bits; after the end it only predicts. Raises UserError where data or options cannot be trained on, and
    CannotFinish where training diverges, memory ends or the disk refuses.
    """
    home = folder / f"rotation{fit.number}-seed{fit.seed}"
    home.mkdir(parents=True, exist_ok=True)
    sweep(home)
    store = store or PixelStore.open(workspace)
    device = _device(options)
    loss_name, loss = find_loss(options.loss, fit.target)
    identity = _identity(options, fit, store)
    job = _Job(options, fit, store, home, identity, checkpoint_seconds)
    network = _finished(home / "model.pt", identity)
    if network is None:
        known = Range.of(fit.truths()[_training_rows(fit)])
        network = make_network(options, loss.head, fit.target, known, fit.seed)
        facts = {
            "identity": identity,
            "options": shown_options(options),
            "target": {**asdict(fit.target), "classes": list(fit.target.classes)},
            "loss": loss_name,
            "head": loss.head,
            "known": known.as_dict(),
            "channels": network.backbone.channels,
            "mean": list(network.backbone.mean),
            "std": list(network.backbone.std),
            "licence": network.backbone.licence,
            "weights_digest": network.backbone.digest,
            "store": store.name,
            "grey": _grey_options(workspace, store),
            "rotation": fit.number,
            "seed": fit.seed,
            "versions": dict(versions()),
        }
        course = _train(network, loss, job)
        if not (home / "best.ckpt").is_file():
            raise CannotFinish(
                f"rotation {fit.number}, seed {fit.seed}: no epoch gave finite predictions of the validation images; "
                f"lower learning_rate, or set precision to 32-true"
            )
        best = torch.load(home / "best.ckpt", map_location="cpu", weights_only=True)
        network.load_state_dict(best["state"])
        facts["course"] = asdict(course)
        save_model(home / "model.pt", network, facts)
        write_json(facts, home / "model.json")
    for leftover in ("last.ckpt", "best.ckpt"):
        (home / leftover).unlink(missing_ok=True)
    rows = fit.rows("validation", "test")
    with enough_memory(options.backbone, options.batch_size, options.side_px), full_precision():
        _, values, spread = predict_dataset(
            network.to(device), job.dataset(rows), options.batch_size, device, workers=options.workers or 0
        )
    return Fitted(fit.images["image_key"].gather(rows).to_list(), values, spread)


def predict_changed(
    home: Path, options: NetworkOptions, store: PixelStore, image_keys: Sequence[str], variant: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """What the finished fit in `home` says of radiographs after a change of their pictures, as SavedModel.predict."""
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


def _grey_options(workspace: Workspace, store: PixelStore) -> dict[str, Any]:
    """What made the store's pictures, so that new ones are made alike."""
    known = store_options(workspace, store.name)
    return known or {"side_px": store.side_px, "value_type": store.value_type}


def _training_rows(fit: Fit) -> np.ndarray:
    """Rows to train on; UserError where there is nothing to learn from."""
    rows = fit.rows("train", labelled=True)
    if len(rows) < 2:
        raise UserError(
            f"target {fit.target.name}: rotation {fit.number} has {len(rows)} training images with a known truth; a "
            f"network needs two or more: widen the cohort"
        )
    if fit.is_classes and len(np.unique(fit.truths()[rows])) < 2:
        raise UserError(
            f"target {fit.target.name}: all training images of rotation {fit.number} are of one class; widen the cohort"
        )
    return rows


def _identity(options: NetworkOptions, fit: Fit, store: PixelStore) -> str:
    """Digest of everything that decides the result; how many processes help is no part of it."""
    source = find_weights(options.backbone, options.weights, options.weights_licence)
    chosen = options.model_dump(mode="json", exclude={"accelerator", "devices", "workers", "weights_licence"})
    if source.kind == "file":
        chosen["weights"] = "file"
    return digest_of(
        {
            "options": chosen,
            "weights": source.digest,
            "target": asdict(fit.target),
            "rotation": fit.number,
            "seed": fit.seed,
            "images": digest_of_frame(fit.images),
            "store": store.name,
        }
    )


def _finished(path: Path, identity: str) -> Network | None:
    """The network of an earlier, finished run of the very same fit."""
    if not path.is_file():
        return None
    try:
        saved = load_model(path)
    except UserError:
        return None
    return saved.network if saved.facts.get("identity") == identity else None


def _device(options: NetworkOptions) -> torch.device:
    """Where a single process computes; UserError where the machine has not what was asked for."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if options.accelerator == "gpu" and not gpus:
        raise UserError("accelerator: 'gpu' is asked for and none is found; set it to 'auto' or 'cpu'")
    on_gpu = gpus > 0 and options.accelerator != "cpu"
    if on_gpu and options.devices > gpus:
        raise UserError(f"devices: {options.devices} are asked for and {gpus} are found; lower it")
    if options.devices > options.batch_size:
        raise UserError(f"devices: {options.devices} cannot share batches of {options.batch_size}; raise batch_size")
    return torch.device("cuda" if on_gpu else "cpu")


def _train(network: Network, loss: Loss, job: _Job) -> Course:
    """Train to the end; best.ckpt is there afterwards."""
    options, fit = job.options, job.fit
    training = job.dataset(_training_rows(fit), Augmenter(options.augment, fit.seed))
    validation = job.dataset(fit.rows("validation", labelled=True))
    schedule = Schedule(len(training), options.batch_size, options.epochs, fit.seed)
    if options.devices > schedule.images // schedule.steps_an_epoch:
        raise UserError(
            f"devices: {options.devices} cannot share {schedule.images} training images in batches of "
            f"{options.batch_size}: one would have none; lower devices"
        )
    watch = Watch(validation, fit.is_classes, job.home, job.identity, job.checkpoint_seconds)
    with _quiet_lightning(), torch.random.fork_rng():
        learner = Learner(network, loss, options, schedule)
        if watch.resume(learner) and watch.course.ended:
            return watch.course
        trainer = _trainer(options, watch)
        ranks = trainer.world_size
        steps = TrainingSteps(schedule, learner.step, trainer.global_rank, ranks)
        device = _device(options)
        batches = loader(training, steps, workers_of(options, device), pinned=device.type == "cuda")
        label = f"rotation {fit.number}, seed {fit.seed}"
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
        # The processes that trained have ended: what they know is in their last checkpoint.
        watch.resume(learner)
    return watch.course


def _trainer(options: NetworkOptions, watch: Watch) -> lightning.Trainer:
    """A Trainer that only trains: epochs, validation and checkpoints are arithmetic over steps (see `course`)."""
    on_gpu = _device(options).type == "cuda"
    several = options.devices > 1
    strategy = "auto"
    if several:
        strategy = "ddp_spawn_find_unused_parameters_true" if options.frozen_epochs else "ddp_spawn"
    return lightning.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=options.devices,
        strategy=strategy,
        # Half precision is slower on a CPU, and not the same there.
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


@contextlib.contextmanager
def _quiet_lightning() -> Generator[None]:
    """Lightning advises and reports; the bar and the summary say what people need."""
    logs = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


@contextlib.contextmanager
def _interruptible() -> Generator[None]:
    """Ctrl-C stays Ctrl-C, which Lightning turns into an exit; a process told to end does not seem to end well."""
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
