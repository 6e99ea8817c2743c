"""Train one experiment of a study: a fit for each rotation and seed, predictions, calibration, ledger."""

import shutil
from dataclasses import dataclass
from time import monotonic
from typing import Any

import polars as pl

from xray_mining.errors import CheckFailed, UserError, unknown_name
from xray_mining.models.freshness import Standing, refuse_other_cohort, standing
from xray_mining.models.notes import read_notes
from xray_mining.models.stated import with_nulls
from xray_mining.models.task import Members, StudyParts, Task
from xray_mining.progress import progress
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.ledger import record_run
from xray_mining.records.predictions import Predictions
from xray_mining.workspace import Workspace, digest_of, sweep, write_json

RAW = "raw"
"""In experiment.json, the calibration of a fit whose values no map is shown to help."""


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """What `train` says at its end."""

    experiment: str
    """STUDY/NAME."""
    digest: str
    model_kind: str
    fitted: int
    """Fits done now."""
    kept: int
    """Fits that were there, of the same digest."""
    score: float | None
    """On validation patients, out of fold: mean absolute error, or mean area under the ROC curve over rotations."""
    metric: str
    seconds: float

    def lines(self) -> list[str]:
        """The counts and the validation score; never a test score."""
        score = "no validation score" if self.score is None else f"validation {self.metric} {self.score:.3f}"
        fits = f"{self.fitted} fitted, {self.kept} kept"
        return [f"{self.experiment} ({self.model_kind}): {fits}, {score}, {self.seconds:.1f} s"]


@dataclass(frozen=True, slots=True)
class TrainSummaries:
    """The same for several experiments."""

    experiments: tuple[TrainSummary, ...]

    def lines(self) -> list[str]:
        """A line an experiment."""
        return [line for each in self.experiments for line in each.lines()]


def run(workspace: Workspace, study: StudyParts, name: str) -> TrainSummary:
    """Fit one experiment of a study in every rotation and seed of its design; what is done already is kept.

    Writes experiments/STUDY/NAME: experiment.json, predictions/rotation<r>-seed<s>.parquet, models. The leakage gate
    stands before the first fit. Raises UserError for an unknown name and for data that cannot be fitted, CheckFailed
    where the gate finds offenders, or where the cohort or an ensemble's member was made by other options.
    """
    experiments = with_nulls(study.experiments)
    if name not in experiments:
        raise unknown_name(f"study {study.study}, experiment", name, experiments)
    options = experiments[name]
    members = Members(workspace, FrozenCohort.load(workspace, study.cohort_name(options.cohort)))
    refuse_other_cohort(members.cohort, study.cohorts[options.cohort], options.cohort)
    return _train(Task(workspace, study, name, options, experiments, members))


def standings(workspace: Workspace, study: StudyParts) -> tuple[Standing, ...]:
    """How the predictions of each of the study's experiments, nulls too, compare with today's study file."""
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


def _train(task: Task[Any]) -> TrainSummary:
    """Fit what is not fitted yet."""
    started = monotonic()
    _refuse_stale_members(task)
    identity = task.identity()
    digest = digest_of(identity)
    sweep(task.folder)
    earlier = read_notes(task.folder)
    if earlier.get("digest") not in (None, digest):
        for folder in ("predictions", "models"):
            shutil.rmtree(task.folder / folder, ignore_errors=True)
    same = earlier if earlier.get("digest") == digest else {}
    seconds = float(same.get("seconds") or 0.0)
    fits: dict[str, Any] = dict(same.get("fits") or {})
    parts = task.parts()
    # A fit that was cut off before its notes were written has lost its calibration map: it is made again.
    waiting = [part for part in parts if not task.part(*part).is_file() or task.part(*part).stem not in fits]
    for stray in set((task.folder / "predictions").glob("*.parquet")) - {task.part(*part) for part in parts}:
        stray.unlink()
    notes, path = _notes(task, identity), task.folder / "experiment.json"
    if waiting or not earlier:
        write_json({**notes, "seconds": seconds, "fits": fits}, path)
    if waiting:
        from xray_mining.catalog.cohort import gate

        gate(task.workspace, task.cohort)
        with record_run(task.workspace, "train", task.title, f"train {task.title}", task.shown_options()) as ledger:
            ledger.inputs |= {"cohort": task.cohort.digest, **identity["inputs"]}
            with progress(len(parts), f"train {task.name}", unit="fits", done=len(parts) - len(waiting)) as bar:
                for part in waiting:
                    before = monotonic()
                    fits[task.part(*part).stem] = _fit(task, *part, digest)
                    seconds += monotonic() - before
                    write_json({**notes, "seconds": seconds, "fits": fits}, path)
                    bar.advance()
            ledger.outputs["experiment"] = digest
    score, metric = _score(task)
    kept = len(parts) - len(waiting)
    return TrainSummary(task.title, digest, task.kind.name, len(waiting), kept, score, metric, monotonic() - started)


def _notes(task: Task[Any], identity: dict[str, Any]) -> dict[str, Any]:
    """What experiment.json says of the experiment, apart from its fits."""
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
    """CheckFailed where a member has predictions that were made by other options than today's."""
    for member in task.kind.members(task.options):
        found = standing(task.of(member))
        if found.outcome == "stale":
            raise CheckFailed(f"experiments.{task.name}: its member {found.sentence}")


def _fit(task: Task[Any], number: int, seed: int, digest: str) -> dict[str, Any]:
    """One rotation under one seed: fit, calibrate, write the part; what was chosen, for experiment.json."""
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
    """The validation score over the parts that are there, and the name of its metric."""
    from xray_mining.models.targets import TARGETS

    target = task.cohort.target(task.options.target)
    kind = TARGETS.find(target.kind)
    frame = Predictions.read([path for part in task.parts() if (path := task.part(*part)).is_file()])
    kept = frame.filter((pl.col("split") == "validation") & pl.col("truth").is_not_null())
    return kind.score(kept), kind.metric(target)
