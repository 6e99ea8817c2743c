"""Train one experiment of a study: fit each rotation and seed, predict, calibrate, and record the run."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import polars as pl

from xray_mining.errors import CheckFailed, UserError, unknown_name
from xray_mining.models.freshness import Standing, refuse_other_cohort, standing
from xray_mining.models.notes import FITS, fitted_parts, keep_fits_of_earlier_versions, read_notes, write_fit
from xray_mining.models.stated import with_nulls
from xray_mining.models.task import Members, StudyParts, Task
from xray_mining.progress import progress
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.ledger import record_run
from xray_mining.records.predictions import Predictions
from xray_mining.workspace import Workspace, digest_of, lock, sweep, write_json

RAW = "raw"
"""In experiment.json, the calibration of a fit whose values are not calibrated."""


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """Closing summary of `train` for one experiment."""

    experiment: str
    """STUDY/NAME."""
    digest: str
    model_kind: str
    fitted: int
    """Number of fits made now."""
    kept: int
    """Number of existing fits with the same digest."""
    score: float | None
    """Validation score, out of fold: mean absolute error, or mean area under the ROC curve over rotations."""
    metric: str
    seconds: float

    def lines(self) -> list[str]:
        """Counts and the validation score, never a test score."""
        score = "no validation score" if self.score is None else f"validation {self.metric} {self.score:.3f}"
        fits = f"{self.fitted} fitted, {self.kept} kept"
        return [f"{self.experiment} ({self.model_kind}): {fits}, {score}, {self.seconds:.1f} s"]


@dataclass(frozen=True, slots=True)
class TrainSummaries:
    """Closing summary of `train` for several experiments."""

    experiments: tuple[TrainSummary, ...]

    def lines(self) -> list[str]:
        """One line for each experiment."""
        return [line for each in self.experiments for line in each.lines()]


def run(
    workspace: Workspace, study: StudyParts, name: str, rotation: int | None = None, seed: int | None = None
) -> TrainSummary:
    """Fit one experiment of a study in the rotations and seeds of its design; existing fits are kept.

    Writes experiments/STUDY/NAME: for each fit predictions/rotation<r>-seed<s>.parquet, fits/….json and its model, and
    experiment.json with all fits. The leakage checks run before the first fit.

    Args:
        workspace: The workspace.
        study: The study.
        name: The experiment.
        rotation: One rotation; None for all.
        seed: One seed; None for all.

    Returns:
        Numbers of new and existing fits, and the validation score.

    Raises:
        UserError: If the name, rotation or seed is unknown, or the data cannot be fitted.
        CheckFailed: If a leakage check fails, or the cohort or a member of an ensemble is stale.

    Example:
        >>> from xray_mining.study.options import read_study
        >>> summary = run(workspace, read_study(study_file), "ridge")
        >>> summary.experiment, summary.model_kind, summary.kept
        ('s/ridge', 'baseline', 1)
    """
    experiments = with_nulls(study.experiments)
    if name not in experiments:
        raise unknown_name(f"study {study.study}, experiment", name, experiments)
    options = experiments[name]
    members = Members(workspace, FrozenCohort.load(workspace, study.cohort_name(options.cohort)))
    refuse_other_cohort(members.cohort, study.cohorts[options.cohort], options.cohort)
    task = Task(workspace, study, name, options, experiments, members)
    parts = [part for part in task.parts() if rotation in (None, part[0]) and seed in (None, part[1])]
    if not parts:
        known = ", ".join(f"{each[0]}/{each[1]}" for each in task.parts())
        raise UserError(
            f"{task.title}: has no fit of rotation {'any' if rotation is None else rotation} and seed "
            f"{'any' if seed is None else seed}; rotations and seeds of its design are {known}"
        )
    return _train(task, parts)


def standings(workspace: Workspace, study: StudyParts) -> tuple[Standing, ...]:
    """Whether the predictions of each experiment of the study, with the null models, are up to date."""
    every = with_nulls(study.experiments)
    members: dict[str, Members] = {}
    found = []
    for name, options in every.items():
        cohort = study.cohort_name(options.cohort)
        try:
            if cohort not in members:
                members[cohort] = Members(workspace, FrozenCohort.load(workspace, cohort))
        except UserError as error:
            where = f"{cohort}/{options.target}"
            found.append(Standing(name, where, "unchecked", f"{name}: its options cannot be checked: {error}"))
            continue
        found.append(standing(Task(workspace, study, name, options, every, members[cohort])))
    return tuple(found)


def _train(task: Task[Any], parts: Sequence[tuple[int, int]]) -> TrainSummary:
    """Fit the given parts (rotation, seed) that are not fitted yet."""
    started = monotonic()
    _refuse_stale_members(task)
    identity = task.identity()
    digest = digest_of(identity)
    notes = _notes(task, identity)
    _clear_others(task, digest, notes)
    waiting = [part for part in parts if not _is_fitted(task, part, digest)]
    fitted = 0
    if waiting:
        from xray_mining.catalog.cohort import gate

        gate(task.workspace, task.cohort)
        with record_run(task.workspace, "train", task.title, f"train {task.title}", task.shown_options()) as ledger:
            ledger.inputs |= {"cohort": task.cohort.digest, **identity["inputs"]}
            with progress(len(parts), f"train {task.name}", unit="fits", done=len(parts) - len(waiting)) as bar:
                for part in waiting:
                    fitted += _fit_once(task, part, digest)
                    _gather(task, digest, notes)
                    bar.advance()
            ledger.outputs["experiment"] = digest
    elif _gathered(task) != set(fitted_parts(task.folder, digest)):
        _gather(task, digest, notes)
    score, metric = _score(task)
    kept = len(parts) - fitted
    return TrainSummary(task.title, digest, task.kind.name, fitted, kept, score, metric, monotonic() - started)


def _clear_others(task: Task[Any], digest: str, notes: dict[str, Any]) -> None:
    """Remove fits of other options, rotations and seeds, so that all fits in the folder have one digest."""
    with lock(task.folder / ".lock", what=f"{task.title}: another command clears or gathers its fits"):
        sweep(task.folder)
        earlier = read_notes(task.folder)
        if earlier.get("digest") not in (None, digest):
            for folder in ("predictions", "models", FITS):
                shutil.rmtree(task.folder / folder, ignore_errors=True)
        if earlier.get("digest") == digest:
            keep_fits_of_earlier_versions(task.folder, earlier)
        else:
            write_json({**notes, "seconds": 0.0, "fits": {}}, task.folder / "experiment.json")
        wanted = {task.part(*part).stem for part in task.parts()}
        for path in [*(task.folder / "predictions").glob("*.parquet"), *(task.folder / FITS).glob("*.json")]:
            if path.stem not in wanted:
                path.unlink()


def _is_fitted(task: Task[Any], part: tuple[int, int], digest: str) -> bool:
    # A fit that was interrupted before its notes were written has no calibration map, so it counts as missing.
    path = task.part(*part)
    return path.is_file() and path.stem in fitted_parts(task.folder, digest)


def _fit_once(task: Task[Any], part: tuple[int, int], digest: str) -> bool:
    """Fit one rotation with one seed; False if another command has fitted it in the meantime."""
    stem = task.part(*part).stem
    with lock(task.folder / "locks" / f"{stem}.lock", what=f"{task.title}: another command fits {stem}"):
        if _is_fitted(task, part, digest):
            return False
        before = monotonic()
        chosen = _fit(task, *part, digest)
        write_fit(task.folder, stem, digest, chosen, monotonic() - before)
        return True


def _gather(task: Task[Any], digest: str, notes: dict[str, Any]) -> None:
    """Write experiment.json again from the notes of all fits; with several jobs, the last one has all notes."""
    with lock(task.folder / ".lock", what=f"{task.title}: another command clears or gathers its fits"):
        fits = fitted_parts(task.folder, digest)
        seconds = sum(each.seconds for each in fits.values())
        chosen = {name: dict(each.chosen) for name, each in fits.items()}
        write_json({**notes, "seconds": seconds, "fits": chosen}, task.folder / "experiment.json")


def _gathered(task: Task[Any]) -> set[str]:
    return set(read_notes(task.folder).get("fits") or {})


def _notes(task: Task[Any], identity: dict[str, Any]) -> dict[str, Any]:
    """Content of experiment.json without the fits."""
    return {
        "study": task.study.study,
        "experiment": task.name,
        "digest": digest_of(identity),
        "model_kind": task.kind.name,
        "options": task.shown_options(),
        "cohort": task.cohort.name,
        "cohort_digest": task.cohort.digest,
        "target": task.options.target,
        "inputs": identity["inputs"],
        "licences": dict(task.inputs().licences),
        "versions": identity["versions"],
        "identity": identity,
    }


def _refuse_stale_members(task: Task[Any]) -> None:
    """CheckFailed if the predictions of a member of an ensemble are stale."""
    for member in task.kind.members(task.options):
        found = standing(task.of(member))
        if found.outcome == "stale":
            raise CheckFailed(f"experiments.{task.name}: its member {found.sentence}")


def _fit(task: Task[Any], number: int, seed: int, digest: str) -> dict[str, Any]:
    """Fit one rotation with one seed, calibrate, and write the predictions; returns the choices for experiment.json."""
    from xray_mining.models.fit import Fit
    from xray_mining.models.rows import calibration_of_fit, changed_rows, prediction_rows

    one = Fit.of(task.cohort, task.options.target, number, seed)
    for role in ("train", "test"):
        if not len(one.rows(role, labelled=True)):
            raise UserError(
                f"cohort {task.cohort.name}, rotation {number}: no {role} image has a known "
                f"'{task.options.target}'; take a larger cohort"
            )
    fitted, chosen = task.kind.fit(task, one)
    found = calibration_of_fit(one, fitted) if task.kind.calibrates else None
    frames = [prediction_rows(task, one, fitted, digest, found), *changed_rows(task, one, digest)]
    Predictions.write(pl.concat(frames), task.part(number, seed))
    return {**chosen, "calibration": RAW if found is None else found.to_json()}


def _score(task: Task[Any]) -> tuple[float | None, str]:
    """The validation score over all existing parts, and the name of its metric."""
    from xray_mining.models.targets import TARGETS

    target = task.cohort.target(task.options.target)
    kind = TARGETS.find(target.kind)
    frame = Predictions.read([path for part in task.parts() if (path := task.part(*part)).is_file()])
    kept = frame.filter((pl.col("split") == "validation") & pl.col("truth").is_not_null())
    return kind.score(kept), kind.metric(target)
