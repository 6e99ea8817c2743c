"""Roughly estimated seconds of each step of a study.

They are computed from numbers of files and radiographs, sizes of pictures and kinds of models, for two ordinary cores;
`expected` corrects them by the times of earlier steps.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xray_mining.errors import UserError
from xray_mining.models.kinds import kind_of
from xray_mining.models.notes import read_notes
from xray_mining.models.options import Options, shown_options
from xray_mining.models.stated import with_nulls
from xray_mining.models.work import PROCESS_SECONDS, Size, Work
from xray_mining.records.cohort import FrozenCohort
from xray_mining.study.instruments import KINDS as INSTRUMENTS
from xray_mining.study.instruments import section_of
from xray_mining.study.options import Study
from xray_mining.study.perform import ArchiveState
from xray_mining.study.plan import Step
from xray_mining.workspace import Workspace

if TYPE_CHECKING:
    from xray_mining.ingest.parts import ShardCounts


@dataclass(frozen=True, slots=True)
class Extent:
    """The amount of work, as far as it is known before the steps run."""

    files: int
    """Files of the archive that are not ingested yet."""
    megabytes: float
    """Size of these files."""
    images: int
    """Radiographs: those already read, and one for each file that is not read yet."""
    members: Mapping[str, int] = field(default_factory=dict)
    """Radiographs of each cohort that was frozen before, by its key."""
    done: frozenset[str] = frozenset()
    """Steps with a summary."""
    fitted: Mapping[str, int] = field(default_factory=dict)
    """Number of existing fits of each incomplete experiment, by its name."""
    gpu: bool = False

    def of_cohort(self, key: str) -> int:
        """Radiographs of a cohort when it was last frozen; all radiographs if it never was."""
        return self.members.get(key, self.images)


def extent_of(workspace: Workspace, study: Study, steps: Iterable[Step], listed: ArchiveState, archive: str) -> Extent:
    """The amount of work in the workspace, from small files alone so that it is fast.

    `listed` is the state of the archive's files, `archive` its name in the workspace, or an empty text.
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
    """Counts of each shard of an archive; empty if its files are damaged."""
    from xray_mining.ingest.parts import counts_by_shard

    try:
        return [max(each, key=lambda one: one.seen) for each in counts_by_shard(workspace, archive).values()]
    except (UserError, OSError, ValueError, KeyError, TypeError, ArithmeticError):
        return []  # Ingest reports the damage.


def _fitted(workspace: Workspace, study: Study, name: str) -> int:
    """Number of existing fits of an experiment with its current options; 0 if all exist, because then all run again."""
    options = study.experiments[name]
    notes = read_notes(workspace.experiment(study.study, name))
    fits = notes.get("fits")
    if notes.get("options") != shown_options(options) or not isinstance(fits, dict):
        return 0
    return len(fits) if len(fits) < _fits(study, options) else 0


def _frozen(workspace: Workspace, study: Study, key: str) -> int:
    """Radiographs of a cohort when it was last frozen; 0 if it never was."""
    try:
        return FrozenCohort.load(workspace, study.cohort_name(key)).flow[-1].images
    except (UserError, OSError, ValueError, KeyError, TypeError, IndexError):
        # This is only an estimate; the step that needs the file reports the damage.
        return 0


def work_of(study: Study, step: Step, extent: Extent) -> Work:
    """Estimated work of one step."""
    section = section_of(step.stage)
    estimate = partial(_set, section) if section else _WORK[step.stage]
    whole = estimate(study, step.keys, extent)
    return replace(whole, seconds=PROCESS_SECONDS + step.share * (whole.seconds - PROCESS_SECONDS))


def _ingest(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    return Work("ingest", PROCESS_SECONDS + 3.0 + 0.02 * extent.files + 0.01 * extent.megabytes)


def _cohort(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    return Work("cohort", PROCESS_SECONDS + 1.5 + 5e-6 * extent.images)


def _set(section: str, study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    return INSTRUMENTS.find(section).work(study.sets(section)[keys[0]], extent.of_cohort(keys[1]), gpu=extent.gpu)


def _train(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    # One experiment, or the nulls of a cohort and target in one step.
    experiments = with_nulls(study.experiments)
    options = experiments[keys[0]] if keys else None
    if options is None:
        return Work("null", PROCESS_SECONDS)
    if keys[0] in study.experiments:
        whole = kind_of(options).work(options, study, _size(study, options, extent))
        left = 1 - extent.fitted.get(keys[0], 0) / _fits(study, options)
        return replace(whole, seconds=PROCESS_SECONDS + left * (whole.seconds - PROCESS_SECONDS))
    each = 0.5 * _rotations(study, options) + 5e-4 * extent.of_cohort(options.cohort)
    return Work("null", PROCESS_SECONDS + 2.0 + len(keys) * each)


def _size(study: Study, options: Options, extent: Extent) -> Size:
    """The numbers on which the work of an experiment depends."""
    return Size(
        images=extent.of_cohort(options.cohort),
        folds=study.cohorts[options.cohort].folds,
        rotations=_rotations(study, options),
        seeds=len(study.design.seeds),
        changed_images=study.design.changed_images,
        gpu=extent.gpu,
    )


def _rotations(study: Study, options: Options) -> int:
    return study.cohorts[options.cohort].folds if study.design.rotations == "all" else 1


def _fits(study: Study, options: Options) -> int:
    return _rotations(study, options) * len(kind_of(options).seeds(study.design))


def _evaluate(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    experiments = len(with_nulls(study.experiments))
    images = max((extent.of_cohort(key) for key in study.cohorts), default=0)
    seconds = 4.0 + experiments * (0.4 + 2e-7 * study.evaluation.bootstraps * images)
    return Work("evaluate", PROCESS_SECONDS + seconds)


def _report(study: Study, keys: tuple[str, ...], extent: Extent) -> Work:
    return Work("report", PROCESS_SECONDS + 4.0)


_WORK: dict[str, Callable[[Study, tuple[str, ...], Extent], Work]] = {
    "ingest": _ingest,
    "cohort": _cohort,
    "train": _train,
    "evaluate": _evaluate,
    "report": _report,
}
