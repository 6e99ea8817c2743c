"""Read one study's evaluation folder for the sections of the page."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from xray_mining.errors import UserError
from xray_mining.records import evaluation_tables as tables
from xray_mining.records.answers import Answers
from xray_mining.records.check_results import CheckResults
from xray_mining.records.estimates import Estimates, Pictures
from xray_mining.records.ledger import Ledger
from xray_mining.records.record import Record
from xray_mining.records.words import column_words
from xray_mining.reporting import models
from xray_mining.reporting.metrics import metric_of, number
from xray_mining.reporting.targets import KINDS, TargetKind

ROLES = {
    "best_baseline": "the best handcrafted model",
    "frozen": "the frozen embedding",
    "best_null": "the best null model",
}
Note = TypeVar("Note")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentNote:
    """One experiment in study.json."""

    experiment: str
    model: str = ""
    model_kind: str = ""
    task: str = ""
    cohort: str = ""
    target: str = ""
    digest: str = ""
    seeds: tuple[int, ...] = ()
    rotations: tuple[int, ...] = ()
    calibrated_fits: int = 0
    """Number of its `fits` whose probabilities are calibrated on validation patients; others are not calibrated."""
    fits: int = 1
    licences: Mapping[str, str] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    seconds: float | None = None
    validation_score: float | None = None
    outcome: str = "done"
    called: str = ""
    """Short name (`model` in the study file) of a model if it is unique in its task; else empty."""

    @property
    def shows(self) -> models.ModelKind:
        """Its kind, which says how the page names and draws it."""
        return models.shown(self.model_kind)

    @property
    def words(self) -> str:
        """Its name in words."""
        return (self.called or self.experiment).replace("_", " ")

    @property
    def seed_words(self) -> str:
        """Its seeds as text; a dash for a model that uses no seed (-1 in the predictions)."""
        return ", ".join(str(seed) for seed in self.seeds if seed >= 0) or "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One target of one cohort, with the experiments that predict it."""

    task: str
    cohort: str
    target: str
    kind: str
    cohort_digest: str = ""
    unit: str = ""
    is_age: bool = False
    """The target is the patient's age; only then errors are drawn by age."""
    positive: str = ""
    classes: tuple[str, ...] = ()
    level: str = "image"
    patients: int = 0
    images: int = 0
    rotations: int = 1
    metric: str = ""
    experiments: tuple[str, ...] = ()
    best: str = ""
    best_baseline: str = ""
    frozen: str = ""
    best_null: str = ""
    blind: str = ""
    """The best null that sees no anatomy; it may be `best_null`."""
    centre: str = ""
    oracle: str = ""
    smallest_difference: float | None = None
    smallest_rival: str = ""
    """The experiment that `smallest_difference` compares the best model with."""
    smallest_rival_role: str = ""
    chosen: str = ""
    """How the best model was chosen: apart, pooled or within (docs/evaluation_files.md); empty if not stated."""
    unanswered: Mapping[str, int | None] | None = None
    """Number of members without a known value of the target, by role; None for a role with too few such patients."""
    undrawn: int = 0
    """Test units that are not drawn as points, because too few patients are of their age band and sex."""

    @property
    def words(self) -> str:
        """Its target in words, for example 'Age' or 'Group: G3 against G2'."""
        name = column_words(self.target).capitalize()
        if not self.shows.names_sides:
            return name
        others = [label for label in self.classes if label != self.positive]
        return f"{name}: {' against '.join([self.positive, *others[:1]])}"

    @property
    def anchor(self) -> str:
        """A part of an anchor or file name: letters, digits and hyphens."""
        return slug(f"{self.cohort}-{self.target}")

    @property
    def shows(self) -> TargetKind:
        """The kind of target, which says what the page shows."""
        return KINDS.find(self.kind)

    @property
    def metric_unit(self) -> str:
        """The unit of the main metric; empty if it has no unit."""
        return self.unit if self.shows.has_unit else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotShown:
    """Number of members that no picture may show, and of members that were not examined."""

    left_out: int | None = None
    """Members with burned-in text or a quality flag; None if they are few, or if study.json does not say."""
    not_looked_at: int | None = 0
    """Members without quality flags, or without a statement in the header about burned-in text; None if few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyNotes:
    """The options and the time of the evaluation in study.json."""

    confidence: float = 0.95
    bootstraps: int | None = None
    least_patients: int = 10
    show_unexamined: bool = False
    written: str = ""
    """Time of the evaluation, for example 2026-11-28T12:00:00Z."""
    pictures: NotShown = NotShown()


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRead:
    """How often the test predictions of one experiment were read."""

    experiment: str = ""
    target: str = ""
    files: int = 0
    evaluations: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """provenance.json: the inputs of the figures."""

    study: Mapping[str, Any] = field(default_factory=dict)
    """The study file, which the page prints unchanged."""
    study_digest: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    experiments: tuple[Mapping[str, Any], ...] = ()
    """experiment.json of each experiment, which the page prints unchanged."""
    licences: Mapping[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    test_reads: tuple[TestRead, ...] = ()
    commands: tuple[str, ...] = ()


def slug(text: str) -> str:
    """`text` as lower-case letters, digits and single hyphens, for anchors and file names."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text.lower())
    return "-".join(part for part in kept.split("-") if part) or "x"


@dataclass(frozen=True)
class Results:
    """Tables and notes that `evaluate` wrote; the sections only lay them out."""

    study: str
    question: str
    statements: Mapping[str, str]
    notes: StudyNotes
    tasks: tuple[Task, ...]
    experiments: Mapping[str, ExperimentNote]
    answers: Mapping[str, tuple[str, ...]]
    """The sentences of the answer, by task."""
    estimates: pl.DataFrame
    check_results: pl.DataFrame
    pictures: pl.DataFrame
    ledger: pl.DataFrame
    roc: pl.DataFrame
    scatter: pl.DataFrame
    error_by_age: pl.DataFrame
    calibration: pl.DataFrame
    confusion: pl.DataFrame
    table_one: pl.DataFrame
    audits: pl.DataFrame
    cohorts: tuple[Mapping[str, Any], ...]
    """flow.json: how each cohort was selected."""
    provenance: Provenance

    @classmethod
    def load(cls, folder: Path) -> "Results":
        """Read an evaluation folder, or a copy of one.

        Raises:
            UserError: if the folder has no evaluation, or its files are not as `evaluate` writes them.
        """
        if not (folder / "study.json").is_file():
            raise UserError(
                f"{folder.name}: has no evaluation yet (study.json is missing); run `xray-mining evaluate "
                f"{folder.name}` first"
            )
        study = _json(folder / "study.json")
        try:
            tasks = tuple(_note(Task, each) for each in study["tasks"])
            experiments = _called([_note(ExperimentNote, each) for each in study["experiments"]])
            name, question = str(study["study"]), str(study["question"])
        except (KeyError, TypeError) as error:
            raise UserError(f"study.json: is not what evaluate writes ({error}); run `evaluate` again") from error
        # Only study.json is required; a missing file counts as empty, and its sections say so.
        answers = _json(folder / "answer.json") if (folder / "answer.json").is_file() else {}
        flow = _json(folder / "flow.json") if (folder / "flow.json").is_file() else {}
        provenance = _json(folder / "provenance.json") if (folder / "provenance.json").is_file() else {}
        reads = tuple(_note(TestRead, each) for each in provenance.get("test_reads", ()))
        return cls(
            study=name,
            question=question,
            statements=study.get("statements", {}),
            notes=replace(_note(StudyNotes, study), pictures=_note(NotShown, study.get("pictures") or {})),
            tasks=tasks,
            experiments=experiments,
            answers={each.task: each.sentences for each in Answers.of(answers).answers},
            estimates=_table(folder, Estimates),
            check_results=_table(folder, CheckResults),
            pictures=_table(folder, Pictures),
            ledger=_table(folder, Ledger),
            roc=_table(folder, tables.RocPoints),
            scatter=_table(folder, tables.ScatterPoints),
            error_by_age=_table(folder, tables.ErrorByAge),
            calibration=_table(folder, tables.CalibrationBins),
            confusion=_table(folder, tables.Confusion),
            table_one=_table(folder, tables.TableOne),
            audits=_table(folder, tables.AuditRows),
            cohorts=tuple(flow.get("cohorts", ())),
            provenance=replace(_note(Provenance, provenance), test_reads=reads),
        )

    def tasks_in(self, section: str) -> list[Task]:
        """The tasks whose kind of target has this section."""
        return [task for task in self.tasks if section in task.shows.sections]

    def members(self, task: Task) -> list[ExperimentNote]:
        """The task's experiments, null models first and the oracle last, by name within a kind."""
        notes = [self.experiments[name] for name in task.experiments if name in self.experiments]
        return sorted(notes, key=lambda note: (note.shows.place, note.experiment))

    def shown(self, task: Task) -> list[ExperimentNote]:
        """The experiments that figures show: best null, best baseline, frozen, a network, best model, oracle."""
        firsts: dict[str, str] = {}
        for note in self.members(task):
            if note.shows.first_is_shown:
                firsts.setdefault(note.model_kind, note.experiment)
        names = [
            task.centre if task.shows.shows_centre else "",
            task.best_null,
            task.best_baseline,
            task.frozen,
            *firsts.values(),
            task.best,
        ]
        wanted = [name for name in dict.fromkeys([*names, task.oracle]) if name in self.experiments]
        return [self.experiments[name] for name in wanted]

    def scores(self, task: Task) -> pl.DataFrame:
        """The task's rows of estimates on unchanged test images of all patients, at its main level."""
        return self._rows(task).filter(
            (pl.col("subgroup") == "all")
            & (pl.col("split") == "test")
            & (pl.col("variant") == "")
            & (pl.col("level") == task.level)
        )

    def by_patient(self, task: Task) -> pl.DataFrame:
        """The task's rows of estimates after averaging each patient's images; empty if every patient has one image."""
        return self._rows(task).filter(
            (pl.col("subgroup") == "all")
            & (pl.col("split") == "test")
            & (pl.col("variant") == "")
            & (pl.col("level") == "patient")
        )

    def by_subgroup(self, task: Task) -> pl.DataFrame:
        """The task's rows of estimates on unchanged test images of subgroups, at its main level."""
        return self._rows(task).filter(
            (pl.col("subgroup") != "all")
            & (pl.col("split") == "test")
            & (pl.col("variant") == "")
            & (pl.col("level") == task.level)
        )

    def experiment_words(self, name: str) -> str:
        """An experiment's name in words; any other name without underscores."""
        note = self.experiments.get(name)
        return name.replace("_", " ") if note is None else note.words

    def about_words(self, about: str | None) -> str:
        """What a check is about, in words: a task, a cohort or an experiment; empty for the whole study."""
        task = next((task for task in self.tasks if task.task == about), None)
        if task is not None:
            return task.words if len(self.tasks) > 1 else ""
        note = self.experiments.get(about or "")
        if note is not None:
            return note.words
        return self.cohort_words(about or "") if len(self.cohorts) > 1 else ""

    def outcomes(self, *codes: str) -> set[str]:
        """The outcomes of the checks with these codes, over all their rows."""
        return set(self.check_results.filter(pl.col("code").is_in(list(codes)))["outcome"])

    def told_apart(self, task: Task) -> str:
        """The smallest difference that the test set can detect, as a clause; empty if there is no pair of models."""
        if task.smallest_difference is None:
            return ""
        metric = metric_of(task.metric)
        unit = f" {task.metric_unit}" if task.metric_unit else ""
        rival = self.experiments.get(task.smallest_rival)
        who = ROLES.get(task.smallest_rival_role, "")
        against = f" from {who}{f' ({rival.words})' if rival and who else rival.words if rival else ''}"
        return (
            f"a true difference in {metric.title}{against if rival or who else ''} of less than "
            f"{number(task.smallest_difference, metric.digits)}{unit} would be missed in more than 2 of 10 repetitions "
            f"of this study with {task.patients:,} test patients (one test of this pair at the level of 5 %)"
        )

    def _rows(self, task: Task) -> pl.DataFrame:
        return self.estimates.filter(
            (pl.col("target") == task.target)
            & (pl.col("cohort_digest") == task.cohort_digest)
            & pl.col("experiment").is_in(list(task.experiments))
        )

    def of(self, task: Task, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of a figure's table that belong to a task."""
        return frame.filter((pl.col("target") == task.target) & pl.col("experiment").is_in(list(task.experiments)))

    def cohort_words(self, name: str) -> str:
        """A cohort's name without the study's name before it."""
        return name.removeprefix(f"{self.study}-")


def _called(notes: Sequence[ExperimentNote]) -> dict[str, ExperimentNote]:
    """The notes by experiment; "null thumbnail adults age years" is called "thumbnail" if its task has only one."""
    words = Counter((note.task, note.model) for note in notes if note.shows.called_by_word)
    return {
        note.experiment: replace(note, called=note.model)
        if note.shows.called_by_word and note.model and words[note.task, note.model] == 1
        else note
        for note in notes
    }


def _note(kind: type[Note], raw: Mapping[str, Any]) -> Note:
    known = {each.name for each in fields(kind)}  # ty: ignore[invalid-argument-type]
    return kind(
        **{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items() if key in known}
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path.name}: is not readable JSON; run `evaluate` again") from error
    if not isinstance(found, dict):
        raise UserError(f"{path.name}: is not what evaluate writes; run `evaluate` again")
    return found


def _table(folder: Path, record: type[Record]) -> pl.DataFrame:
    path = folder / f"{record.table}.parquet"
    return record.read([path] if path.is_file() else [])
