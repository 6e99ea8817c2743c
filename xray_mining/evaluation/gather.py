"""Gather a study's predictions by task (one target of one cohort), with all models' values in one order of units."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from xray_mining.catalog import order
from xray_mining.catalog.order import latest_of
from xray_mining.errors import CheckFailed, UserError
from xray_mining.evaluation.task import KINDS, Array, Model, Task
from xray_mining.models.freshness import Standing
from xray_mining.models.notes import read_notes
from xray_mining.records.check_results import CheckRow
from xray_mining.records.cohort import FrozenCohort, Target, latest_digest
from xray_mining.records.predictions import Predictions
from xray_mining.workspace import Workspace


@dataclass(slots=True)
class Gathered:
    """The data that evaluate has read, and the experiments that it leaves out."""

    tasks: list[Task] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Experiments of the study without predictions."""
    checks: list[CheckRow] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    """Experiments with stale predictions, which are not scored."""
    tasks_of: dict[str, str] = field(default_factory=dict)
    """Task (COHORT/TARGET) of each experiment of the study file that is not scored."""
    cohorts: dict[str, FrozenCohort] = field(default_factory=dict)
    """Cohorts by name, not by digest, because two cohorts with the same members have the same digest."""
    attributes: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Attributes of every member of these cohorts in the catalog, by image_key."""

    def rotations(self, cohort: str) -> int:
        """The largest number of rotations of the tasks of a cohort."""
        return max((task.rotations for task in self.tasks if task.cohort.name == cohort), default=1)


def gather(
    workspace: Workspace, study: str, expected: Sequence[str] = (), standings: Sequence[Standing] = ()
) -> Gathered:
    """Read the predictions of every experiment of `study`.

    Args:
        workspace: The workspace.
        study: The study's name.
        expected: Experiments of the study file; empty reads all experiments in the study's folder.
        standings: Whether each experiment is up to date; stale ones are left out, each with a failed check.

    Raises:
        UserError: if no experiment has predictions.
        CheckFailed: if all predictions are stale.
    """
    # Without a study file all experiments in the folder are read; with one only its own, and missing ones are named.
    home = workspace.root / "experiments" / study
    names = sorted(each.name for each in home.iterdir() if each.is_dir()) if home.is_dir() else []
    if expected:
        names = [name for name in expected if name in names]
    found = Gathered(absent=[name for name in expected if name not in names])
    found.checks += [_of_standing(each) for each in standings if each.outcome in ("stale", "unchecked")]
    found.stale = [each.experiment for each in standings if each.outcome == "stale" and each.experiment in names]
    read = _read(workspace, study, [name for name in names if name not in found.stale], found)
    unscored = {*found.absent, *found.stale}
    found.tasks_of = {each.experiment: each.task for each in standings if each.experiment in unscored}
    if not read and found.stale:
        first = next(each.sentence for each in standings if each.outcome == "stale")
        raise CheckFailed(f"evaluate: all predictions are stale (the study file has changed since); {first}")
    if not read:
        raise UserError(
            f"evaluate: study '{study}' has no predictions yet; train its experiments first "
            f"(xray-mining train {study}, or xray-mining run {study})"
        )
    drawn_from = {
        name: _cohort(workspace, each.frame["cohort_digest"][0], str(each.notes.get("cohort") or ""), study)
        for name, each in read.items()
    }
    _set_stale_aside(workspace, read, drawn_from, found)
    found.attributes = attributes(workspace, found.cohorts.values())
    # A task is a target of a cohort; experiments of the same task are aligned to the same units.
    by_task: dict[tuple[str, str], dict[str, _Experiment]] = {}
    for name, each in read.items():
        by_task.setdefault((drawn_from[name].name, each.frame["target"][0]), {})[name] = each
    for (named, target), members in by_task.items():
        cohort = found.cohorts[named]
        task = _task(cohort, cohort.target(target), members, found)
        if task is not None:
            found.tasks.append(task)
    return found


@dataclass(frozen=True)
class _Experiment:
    """Predictions and notes of one experiment."""

    frame: pl.DataFrame
    """Predictions, of one digest and target."""
    notes: Mapping[str, Any]
    """experiment.json."""
    files: int
    """Number of parts of the predictions."""


def _read(workspace: Workspace, study: str, names: Sequence[str], found: Gathered) -> dict[str, _Experiment]:
    """Experiments with predictions, by name; the others are added to `found.absent`."""
    read = {}
    for name in names:
        folder = workspace.experiment(study, name)
        parts = sorted((folder / "predictions").glob("*.parquet"))
        notes = read_notes(folder)
        frame = _one_digest(Predictions.read(parts), name, notes, found) if parts else Predictions.create_empty()
        if frame.height:
            read[name] = _Experiment(frame, notes, len(parts))
        else:
            found.absent.append(name)
    return read


def _of_standing(each: Standing) -> CheckRow:
    """EVAL014 for predictions made with other options than today's; EVAL015 if this could not be checked."""
    stale = each.outcome == "stale"
    return CheckRow(
        "EVAL014" if stale else "EVAL015",
        "error" if stale else "warning",
        "failed" if stale else "skipped",
        "predictions with the current options",
        f"{each.sentence}.",
        about=each.experiment,
        section="comparison",
        offenders=1 if stale else None,
    )


def _set_stale_aside(
    workspace: Workspace, read: dict[str, _Experiment], drawn_from: Mapping[str, FrozenCohort], found: Gathered
) -> None:
    """Leave out experiments on an earlier freeze of a cohort, because a task is scored on one digest of its cohort.

    If no experiment has predictions on the latest freeze, score the earlier freeze with most experiments (EVAL013).
    """
    # Digests of each cohort name, with the experiments trained on each.
    by_name: dict[str, dict[str, list[str]]] = {}
    for name in read:
        cohort = drawn_from[name]
        by_name.setdefault(cohort.name, {}).setdefault(cohort.digest, []).append(name)
    for named, members in sorted(by_name.items()):
        latest = latest_digest(workspace, named)
        kept = latest if latest in members else max(members, key=lambda digest: (len(members[digest]), digest))
        stale = sorted(name for digest, names in members.items() if digest != kept for name in names)
        if stale:
            verb = "were" if len(stale) > 1 else "was"
            found.checks.append(
                CheckRow(
                    "EVAL012",
                    "warning",
                    "failed",
                    "experiments on another freeze of the cohort",
                    f"{', '.join(stale)}: {verb} trained on another freeze of cohort {named} than the one that is "
                    f"scored ({kept[:12]}), so not scored; train again.",
                    offenders=len(stale),
                    section="comparison",
                    about=named,
                )
            )
        if kept != latest:
            found.checks.append(
                CheckRow(
                    "EVAL013",
                    "warning",
                    "failed",
                    "predictions for an earlier freeze of the cohort",
                    f"{named}: all experiments were trained on an earlier freeze ({kept[:12]}), not on the latest "
                    f"({latest[:12] or 'unknown'}); train again.",
                    offenders=len(members[kept]),
                    section="comparison",
                    about=named,
                )
            )
        for name in stale:
            del read[name]
        found.cohorts[named] = drawn_from[members[kept][0]]


def _one_digest(frame: pl.DataFrame, name: str, notes: Mapping[str, Any], found: Gathered) -> pl.DataFrame:
    """Predictions with the experiment's current digest; others are left out, with a failed check."""
    groups = frame.select("experiment_digest", "cohort_digest", "target").unique(maintain_order=True)
    if groups.height <= 1:
        return frame
    wanted = notes.get("digest") or notes.get("experiment_digest")
    if wanted not in groups["experiment_digest"].to_list():
        wanted = groups["experiment_digest"][-1]
    found.checks.append(
        CheckRow(
            "EVAL007",
            "warning",
            "failed",
            "predictions of several digests",
            f"{name}: its folder holds predictions of {groups.height} digests or targets; only the current one is "
            f"scored.",
            offenders=groups.height - 1,
            about=name,
        )
    )
    kept = frame.filter(pl.col("experiment_digest") == wanted)
    first = kept.row(0, named=True)
    return kept.filter((pl.col("cohort_digest") == first["cohort_digest"]) & (pl.col("target") == first["target"]))


def _cohort(workspace: Workspace, digest: str, name: str, study: str) -> FrozenCohort:
    """The cohort of an experiment: by the `name` in its notes, else any cohort with the same digest."""
    homes = [path.parent.name for path in (workspace.root / "cohorts").glob(f"*/{digest}") if path.is_dir()]
    if not homes:
        raise UserError(
            f"evaluate: the cohort with digest {digest}, on which '{study}' was trained, is not in the workspace; "
            f"freeze it again with `xray-mining cohort`"
        )
    own = sorted(homes, key=lambda each: (each != name, not each.startswith(f"{study}-"), each))
    return FrozenCohort.load(workspace, own[0], digest)


def attributes(workspace: Workspace, cohorts: Iterable[FrozenCohort]) -> pl.DataFrame:
    """Attributes of the cohorts' members, sorted by image_key; null for members that are not in the catalog."""
    keys = pl.concat([each.members().select("image_key", "patient_key", "study_key") for each in cohorts])
    keys = keys.unique("image_key").sort("image_key")
    known = order.attributes(workspace, keys["image_key"])
    return keys.join(known, on="image_key", how="left").sort("image_key")


def _task(cohort: FrozenCohort, target: Target, read: Mapping[str, _Experiment], found: Gathered) -> Task | None:
    """Align the experiments of one target; None if no experiment has a prediction for a test unit with a truth."""
    clean = {}
    members = cohort.members().select("image_key", "patient_key", "study_key")
    for name, each in read.items():
        kept = _checked(each.frame, name, target, members, found)
        if kept.height:
            clean[name] = kept
    levels = {frame["level"][0] for frame in clean.values()}
    tested = [
        frame.filter((pl.col("split") == "test") & pl.col("truth").is_not_null()).select(
            "unit_key", "patient_key", "fold", "truth", "class"
        )
        for frame in clean.values()
    ]
    if not tested or not any(frame.height for frame in tested):
        where = f"{cohort.name}/{target.name}"
        found.checks.append(
            CheckRow(
                "EVAL001",
                "error",
                "failed",
                "test units without prediction or truth",
                f"{where}: no experiment has a prediction for a test unit with a known truth, so nothing is scored.",
                offenders=len(read),
                about=where,
            )
        )
        return None
    level = sorted(levels)[0]
    units = _units(pl.concat(tested), cohort, target, found.attributes, level)
    models = {
        name: _model(frame, name, notes=read[name].notes, files=read[name].files, units=units, target=target)
        for name, frame in clean.items()
    }
    return Task(cohort=cohort, target=target, level=level, units=units, models=models)


def _checked(frame: pl.DataFrame, name: str, target: Target, members: pl.DataFrame, found: Gathered) -> pl.DataFrame:
    """The rows that can be scored. Each reason to leave out rows adds a failed check to `found`."""
    # Units outside the cohort: the cohort has changed, or the file belongs to another one.
    key = {"image": "image_key", "study": "study_key", "patient": "patient_key"}[frame["level"][0]]
    outside = frame.join(members, left_on="unit_key", right_on=key, how="anti")
    if outside.height:
        found.checks.append(
            CheckRow(
                "EVAL002",
                "error",
                "failed",
                "predictions for units outside the cohort",
                f"{name}: {outside['unit_key'].n_unique():,} predicted units are not in the cohort; they are left out.",
                evidence=outside.select("unit_key").unique().sort("unit_key").head(10).to_dicts(),
                offenders=outside["unit_key"].n_unique(),
                about=name,
            )
        )
        frame = frame.join(members.select(key).unique(), left_on="unit_key", right_on=key, how="semi")
    # A unit with one bad value is left out whole, because the means over seeds and the classes need all its values.
    broken = frame.filter(~pl.col("value").is_finite())
    if broken.height:
        found.checks.append(
            CheckRow(
                "EVAL003",
                "error",
                "failed",
                "predictions that are not numbers",
                f"{name}: {broken.height:,} of {frame.height:,} predictions are not finite numbers (nan or infinite); "
                f"their units are left out for this experiment.",
                offenders=broken.height,
                about=name,
            )
        )
        frame = frame.join(
            broken.select("unit_key", "fold", "split").unique(), on=["unit_key", "fold", "split"], how="anti"
        )
    if not frame.height:
        return frame
    # The kind selects its rows; without all classes it cannot score any unit.
    frame, missing = KINDS.find(target.kind).kept(frame, target)
    if missing:
        found.checks.append(
            CheckRow(
                "EVAL004",
                "error",
                "failed",
                "every class of the target is predicted",
                f"{name}: has no probabilities for {', '.join(missing)}; the experiment is not scored.",
                offenders=len(missing),
                about=name,
            )
        )
    return frame


def _units(rows: pl.DataFrame, cohort: FrozenCohort, target: Target, known: pl.DataFrame, level: str) -> pl.DataFrame:
    """`Task.units`: truths of the tested units with attributes; for studies and patients those of the latest image."""
    truth = KINDS.find(target.kind).truths(rows, target)
    folds = rows.group_by("unit_key").agg(
        pl.col("patient_key").first(),
        pl.when(pl.col("fold").n_unique() == 1).then(pl.col("fold").first()).otherwise(-1).alias("fold"),
    )
    units = folds.join(truth.select("unit_key", "truth", "label"), on="unit_key", how="inner")
    if level == "image":
        units = units.join(known.drop("patient_key"), left_on="unit_key", right_on="image_key", how="left")
    else:
        key = "study_key" if level == "study" else "patient_key"
        first = latest_of(known, key)
        drop = ["image_key", *(["patient_key"] if key == "study_key" else ["study_key"])]
        units = units.join(first.drop(drop), left_on="unit_key", right_on=key, how="left")
    return units.sort("unit_key")


def _model(
    frame: pl.DataFrame, name: str, *, notes: Mapping[str, Any], files: int, units: pl.DataFrame, target: Target
) -> Model:
    first = frame.row(0, named=True)
    tests = frame.filter(pl.col("split") == "test")
    plain = tests.filter(pl.col("variant") == "")
    calibrated = None
    mapped = plain.filter(pl.col("value_calibrated").is_not_null())
    if mapped.height:
        mixed = plain.with_columns(pl.coalesce("value_calibrated", "value"))
        calibrated = _aligned(mixed, "value_calibrated", units, target)
    checked = frame.filter(
        (pl.col("split") == "validation") & (pl.col("variant") == "") & pl.col("truth").is_not_null()
    )
    return Model(
        name=name,
        kind=first["model_kind"],
        digest=first["experiment_digest"],
        options=notes.get("options") or {},
        notes=notes,
        level=first["level"],
        seeds=tuple(sorted(frame["seed"].unique().to_list())),
        rotations=tuple(sorted(frame["fold"].unique().to_list())),
        files=files,
        values=_aligned(plain, "value", units, target),
        calibrated=calibrated,
        validation=_validation(checked, target),
        again=_aligned(checked, "value", units, target) if checked["fold"].n_unique() > 1 else None,
        calibrated_fits=mapped.select("seed", "fold").n_unique() if mapped.height else 0,
        calibrated_by_class=_calibrated_by_class(mapped),
        fits=plain.select("seed", "fold").n_unique() if plain.height else 0,
        variants={
            variant: _aligned(tests.filter(pl.col("variant") == variant), "value", units, target)
            for variant in sorted(tests["variant"].unique().to_list())
            if variant
        },
    )


def _calibrated_by_class(mapped: pl.DataFrame) -> dict[str, int]:
    """Number of fits whose map changes the class, from rows with a calibrated value.

    A fit whose maps help for some of several labels writes the other labels' own values as calibrated ones.
    """
    changed = mapped.filter(pl.col("value_calibrated") != pl.col("value"))
    return dict(changed.group_by("class").agg(pl.struct("seed", "fold").n_unique()).sort("class").iter_rows())


def _aligned(frame: pl.DataFrame, column: str, units: pl.DataFrame, target: Target) -> Array:
    """The mean over seeds, then over rotations, in the order of `units`: (n,) or (n, classes), nan if missing."""
    means = (
        frame.group_by("unit_key", "class", "fold")
        .agg(pl.col(column).mean().alias("value"))
        .group_by("unit_key", "class")
        .agg(pl.col("value").mean())
    )
    return KINDS.find(target.kind).aligned(means, units.select("unit_key"), target)


def _validation(frame: pl.DataFrame, target: Target) -> pl.DataFrame:
    means = frame.group_by("fold", "unit_key", "class").agg(
        pl.col("patient_key").first(), pl.col("truth").first(), pl.col("value").mean()
    )
    return KINDS.find(target.kind).validation(means, target)
