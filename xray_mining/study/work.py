"""How much work a step of a study is: rough seconds from what is cheap to know.

That is files, radiographs, sizes of pictures, kinds of models. The seconds are those of two ordinary cores; `expected`
corrects them by what earlier steps took.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from xray_mining.errors import UserError
from xray_mining.features.options import FeatureOptions
from xray_mining.models.freshness import read_notes
from xray_mining.models.options import (
    BaselineOptions,
    EmbeddingOptions,
    EnsembleOptions,
    ExperimentOptions,
    FrozenOptions,
    NetworkOptions,
    NullOptions,
    OracleOptions,
    shown_options,
)
from xray_mining.records.cohort import FrozenCohort
from xray_mining.study.options import Study
from xray_mining.study.perform import ArchiveState
from xray_mining.study.plan import Step
from xray_mining.workspace import Workspace

if TYPE_CHECKING:
    from xray_mining.ingest.parts import ShardCounts

PROCESS_SECONDS = 2.0
"""What a job takes to start."""

TRAINED = "network"
"""First word of the kinds of steps that train a network."""

_TORCH_SECONDS = 10.0
_GPU_FACTOR = 20.0
"""How much faster a GPU is than two cores."""
_CHANGES = 2
"""Ways in which test pictures are changed and predicted once more (`pixels.variants`)."""
_COLUMNS = 1000
"""Of an ordinary feature set: how many a set has is not asked of its families, whose kernels take seconds to load."""

# How long networks train on two cores, in units of an efficientnet_b0: measured where it says so, else by their
# operations an image. The longest beginning of a name counts.
_WEIGHTS = {
    "": 4.0,
    "convnext": 6.0,
    "convnext_atto": 0.4,  # measured
    "convnext_femto": 0.6,
    "convnext_pico": 1.0,
    "densenet": 5.0,
    "efficientnet_b0": 1.0,  # measured
    "googlenet": 2.5,
    "mobilenet": 0.4,
    "mobilenetv4_conv_small": 0.23,  # measured
    "regnetx_002": 0.18,  # measured
    "regnet": 1.0,
    "resnet10t": 0.56,  # measured
    "resnet14t": 1.0,  # measured
    "resnet18": 1.8,  # measured
    "resnet34": 3.5,
    "resnet152": 11.0,
    "resnet101": 7.5,
    "test_": 0.02,
    "tf_efficientnet_lite": 1.0,
    "vit_tiny": 2.0,
    "vit_small": 6.0,
    "vit_base": 18.0,
}


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is to work on, as far as it is known beforehand."""

    files: int
    """Of the archive, that ingest has not read yet."""
    megabytes: float
    """Of these files."""
    images: int
    """Radiographs: those that were read, and one for each file that was not."""
    members: Mapping[str, int] = field(default_factory=dict)
    """Key of a cohort → its radiographs, where it was frozen before."""
    done: frozenset[str] = frozenset()
    """Steps that left a summary."""
    fitted: Mapping[str, int] = field(default_factory=dict)
    """Name of an experiment that was broken off → its fits that are kept."""
    gpu: bool = False

    def of_cohort(self, key: str) -> int:
        """Radiographs of a cohort: as last frozen, else all there are."""
        return self.members.get(key, self.images)


@dataclass(frozen=True, slots=True)
class Work:
    """What a step has to do."""

    kind: str
    """What its time is compared with: its stage, and the model, family or backbone."""
    seconds: float
    """On two ordinary cores, with the start of its process."""


def extent_of(workspace: Workspace, study: Study, steps: Iterable[Step], listed: ArchiveState, archive: str) -> Extent:
    """What is known of the workspace now, by small files alone.

    `listed` is what a walk over the archive found, `archive` the name under which the workspace knows it, if it does.
    """
    images = read = read_bytes = 0
    for name in workspace.settings.archives:
        shards = _shards(workspace, name)
        images += sum(each.kept for each in shards)
        if name == archive:
            read, read_bytes = sum(each.files for each in shards), sum(each.bytes for each in shards)
    waiting = max(0, listed.files - read)
    growth = (images + waiting) / images if images else 1.0
    members = {key: round(growth * count) for key in study.cohorts if (count := _frozen(workspace, study, key))}
    folder = workspace.root / "steps" / study.study
    return Extent(
        waiting,
        max(0, listed.bytes - read_bytes) / 2**20 if waiting else 0.0,
        images + waiting,
        members,
        frozenset(step.name for step in steps if (folder / f"{step.name}.json").is_file()),
        {name: count for name in study.experiments if (count := _fitted(workspace, study, name))},
        any(Path("/dev").glob("nvidia[0-9]*")),
    )


def _shards(workspace: Workspace, archive: str) -> "list[ShardCounts]":
    """What each shard of an archive that was read holds; none where it cannot be told."""
    from xray_mining.ingest.parts import counts_by_shard

    try:
        return [max(each, key=lambda one: one.seen) for each in counts_by_shard(workspace, archive).values()]
    except (UserError, OSError, ValueError, KeyError, TypeError, ArithmeticError):
        return []  # damaged: ingest says so


def _fitted(workspace: Workspace, study: Study, name: str) -> int:
    """Fits of an experiment that are there of its present options; 0 where all are: then it waits for all anew."""
    options = study.experiments[name]
    notes = read_notes(workspace.experiment(study.study, name))
    fits = notes.get("fits")
    if notes.get("options") != shown_options(options) or not isinstance(fits, dict):
        return 0
    return len(fits) if len(fits) < _fits(study, options) else 0


def _frozen(workspace: Workspace, study: Study, key: str) -> int:
    """Radiographs of a cohort as it was last frozen; 0 where it never was."""
    try:
        return FrozenCohort.load(workspace, study.cohort_name(key)).flow[-1].images
    except (UserError, OSError, ValueError, KeyError, TypeError, IndexError):
        # Only a guess: what is damaged is said by the step that needs it.
        return 0


def work_of(study: Study, step: Step, extent: Extent) -> Work:
    """What a step of the study has to do."""
    return _WORK[step.stage](study, step.keys, extent)


def _ingest(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    return Work("ingest", PROCESS_SECONDS + 3.0 + 0.02 * extent.files + 0.01 * extent.megabytes)


def _cohort(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    return Work("cohort", PROCESS_SECONDS + 1.5 + 5e-6 * extent.images)


def _features(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    options = study.features[keys[0]]
    kind = f"features {' '.join(sorted(options.families))}"
    return Work(kind, PROCESS_SECONDS + 3.0 + extent.of_cohort(keys[1]) * _measuring(options))


def _measuring(options: FeatureOptions) -> float:
    """Seconds a picture."""
    return 1e-3 * len(options.families) * (0.3 + 1.5 * (options.side_px / 256) ** 2)


def _embed(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    options = study.embeddings[keys[0]]
    seconds = PROCESS_SECONDS + _TORCH_SECONDS + extent.of_cohort(keys[1]) * _looking(options, extent)
    return Work(f"embed {options.backbone}", seconds)


def _looking(options: EmbeddingOptions, extent: Extent) -> float:
    """Seconds a picture."""
    once = 0.04 * (options.side_px / 224) ** 2 * _weight(options.backbone) / (_GPU_FACTOR if extent.gpu else 1.0)
    return once * (2 if options.mirrored else 1)


def _weight(backbone: str) -> float:
    return _WEIGHTS[max((name for name in _WEIGHTS if backbone.startswith(name)), key=len)]


def _train(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    from xray_mining.models.experiment import with_nulls

    # One experiment, or the nulls of a cohort and target in one step.
    experiments = with_nulls(study.experiments)
    options = experiments[keys[0]] if keys else None
    if options is None:
        return Work("null", PROCESS_SECONDS)
    if keys[0] in study.experiments:
        whole = _TRAINING[type(options)](study, options, extent)
        left = 1 - extent.fitted.get(keys[0], 0) / _fits(study, options)
        return Work(whole.kind, PROCESS_SECONDS + left * (whole.seconds - PROCESS_SECONDS))
    each = 0.5 * _rotations(study, options) + 5e-4 * extent.of_cohort(options.cohort)
    return Work("null", PROCESS_SECONDS + 2.0 + len(keys) * each)


def _rotations(study: Study, options: ExperimentOptions) -> int:
    return study.cohorts[options.cohort].folds if study.design.rotations == "all" else 1


def _fits(study: Study, options: ExperimentOptions) -> int:
    return _rotations(study, options) * (len(study.design.seeds) if isinstance(options, NetworkOptions) else 1)


@dataclass(frozen=True, slots=True)
class _Table:
    """What a scikit-learn model reads."""

    columns: int
    changed: float
    """Seconds that one changed picture takes to be measured."""


def _fitting(study: Study, options: ExperimentOptions, extent: Extent, model: str, table: _Table) -> float:
    """Seconds of a scikit-learn model in all rotations."""
    images, folds = extent.of_cohort(options.cohort), study.cohorts[options.cohort].folds
    pictures = _CHANGES * min(study.design.changed_images, images / folds)
    if model == "support_vectors":
        fit = 1.0 + 2e-9 * images**2 * table.columns
    elif model == "boosting":
        fit = 20.0 + 2e-3 * images
    else:
        fit = 1.0 + 2e-9 * images * table.columns * min(images, table.columns)
    return _rotations(study, options) * (fit + pictures * table.changed)


def _baseline(study: Study, options: BaselineOptions, extent: Extent) -> Work:
    sets = [study.features[key] for key in options.features]
    table = _Table(_COLUMNS * len(sets), sum(map(_measuring, sets)))
    seconds = _fitting(study, options, extent, options.model, table)
    return Work(options.model, PROCESS_SECONDS + 2.0 + seconds)


def _frozen_model(study: Study, options: FrozenOptions, extent: Extent) -> Work:
    sets = [study.embeddings[key] for key in options.embeddings]
    table = _Table(options.components or _COLUMNS * len(sets), sum(_looking(each, extent) for each in sets))
    seconds = _fitting(study, options, extent, options.head, table)
    return Work(f"frozen {options.head}", PROCESS_SECONDS + _TORCH_SECONDS + seconds)


def _network(study: Study, options: NetworkOptions, extent: Extent) -> Work:
    images, folds = extent.of_cohort(options.cohort), study.cohorts[options.cohort].folds
    gpu = extent.gpu and options.accelerator != "cpu"
    once = 0.08 * (options.side_px / 128) ** 2 * _weight(options.backbone) / (_GPU_FACTOR if gpu else 1.0)
    # The rest of a picture's time is its reading and its random changes.
    train = images * max(0, folds - 2) / folds * (once + 0.01)
    tested = (2 * images / folds + _CHANGES * min(study.design.changed_images, images / folds)) * once / 3
    validated = options.epochs * images / folds * once / 3
    seconds = (
        PROCESS_SECONDS + _TORCH_SECONDS + _fits(study, options) * (5.0 + options.epochs * train + validated + tested)
    )
    return Work(f"{TRAINED} {options.backbone}", seconds)


def _small(study: Study, options: EnsembleOptions | OracleOptions | NullOptions, extent: Extent) -> Work:
    return Work(options.model, PROCESS_SECONDS + 2.0 + 1.0 * _rotations(study, options))


def _evaluate(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    from xray_mining.models.experiment import with_nulls

    experiments = len(with_nulls(study.experiments))
    images = max((extent.of_cohort(key) for key in study.cohorts), default=0)
    seconds = 4.0 + experiments * (0.4 + 2e-7 * study.evaluation.bootstraps * images)
    return Work("evaluate", PROCESS_SECONDS + seconds)


def _report(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    return Work("report", PROCESS_SECONDS + 4.0)


_TRAINING: dict[type, Callable[..., Work]] = {
    NullOptions: _small,
    BaselineOptions: _baseline,
    FrozenOptions: _frozen_model,
    NetworkOptions: _network,
    EnsembleOptions: _small,
    OracleOptions: _small,
}

_WORK: dict[str, Callable[[Study, tuple[str, ...], Extent], Work]] = {
    "ingest": _ingest,
    "cohort": _cohort,
    "features": _features,
    "embed": _embed,
    "train": _train,
    "evaluate": _evaluate,
    "report": _report,
}
