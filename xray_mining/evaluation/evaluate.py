"""`evaluate STUDY`: predictions → scores → comparisons → subgroups → audits → pictures → answer, then their files."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from xray_mining.evaluation import cohorts, pictures, variants
from xray_mining.evaluation.answer import answer, with_failed_checks
from xray_mining.evaluation.audits import AuditedCohort, AuditedTask, audit
from xray_mining.evaluation.choice import Choice, choose
from xray_mining.evaluation.comparisons import Smallest, compare, smallest
from xray_mining.evaluation.curves import Figures
from xray_mining.evaluation.estimates import score
from xray_mining.evaluation.gather import Gathered, gather
from xray_mining.evaluation.hidden_counts import without_small_counts
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.people import by_age_and_sex
from xray_mining.evaluation.provenance import (
    experiment_notes,
    left_out,
    plain,
    provenance,
    task_notes,
    unscored_notes,
    without_paths,
)
from xray_mining.evaluation.subgroups import by_subgroup
from xray_mining.evaluation.task import Task
from xray_mining.models.freshness import Standing
from xray_mining.progress import progress
from xray_mining.records import evaluation_tables as tables
from xray_mining.records.answers import Answer, Answers, FailedCheck
from xray_mining.records.check_results import CheckResults, CheckRow
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.estimates import EstimateRow, Estimates, PictureRow, Pictures
from xray_mining.records.ledger import Ledger, record_run
from xray_mining.workspace import Workspace, digest_of, digest_of_frame, sweep, write_json

FORMAT = 1


@dataclass(frozen=True, slots=True)
class EvaluateSummary:
    """Closing summary of `evaluate`."""

    study: str
    experiments: int
    estimates: int
    pictures: int
    checks_failed: int
    checks: tuple[FailedCheck, ...]
    """Failed checks that affect the whole study."""
    answers: tuple[Answer, ...]
    """One answer for each task, with the failed checks that affect it; as in answer.json."""
    absent: list[str]
    digest: str
    """Digest of the estimates and check results."""
    seconds: float

    def lines(self) -> list[str]:
        """The answers, then the counts."""
        lines = [*Answers(self.checks, self.answers).lines(), self.counts]
        if self.absent:
            lines.append(f"without predictions: {', '.join(self.absent)}")
        return lines

    @property
    def counts(self) -> str:
        """Numbers of experiments, estimates, pictures and failed checks, in one line."""
        return (
            f"{self.study}: {self.experiments} experiments, {self.estimates:,} estimates, {self.pictures} pictures, "
            f"{self.checks_failed} checks failed, in {self.seconds:.0f} s"
        )


def evaluate(
    workspace: Workspace,
    study: str,
    options: EvaluationOptions | None = None,
    *,
    question: str = "",
    statements: Mapping[str, str] | None = None,
    experiments: Sequence[str] = (),
    study_file: Mapping[str, Any] | None = None,
    standings: Sequence[Standing] = (),
) -> EvaluateSummary:
    """Score every experiment of `study` and write evaluations/STUDY (docs/evaluation_files.md).

    Fits no model; only resampling uses random numbers.

    Args:
        workspace: The workspace.
        study: The study's name.
        options: Options of the evaluation; None for the defaults.
        question: The study's question, for the page.
        statements: Further texts of the study file, for the page.
        experiments: Names of the study's experiments; those without predictions get a failed check.
        study_file: The whole study file as JSON, for the page.
        standings: Whether each experiment is up to date; stale ones are not scored and get a failed check.

    Raises:
        UserError: if no experiment has predictions.
        CheckFailed: if all predictions are stale.
    """
    options = options or EvaluationOptions()
    clock = time.monotonic()
    folder = workspace.evaluation(study)
    command = f"xray-mining evaluate {study}"
    with record_run(workspace, "evaluate", study, command, options.model_dump(mode="json")) as notes:
        if folder.is_dir():
            sweep(folder)
        found = gather(workspace, study, experiments, standings)
        notes.inputs |= {
            f"predictions/{model.name}": model.digest for task in found.tasks for model in task.models.values()
        }
        # study.json is written last, so that `report` refuses an incomplete folder.
        (folder / "study.json").unlink(missing_ok=True)
        made = evaluated(workspace, found, options)
        written = _write(workspace, folder, study, made)
        about = without_paths(dict(study_file or {}))
        _write_notes(folder, study, made, question or str(about.get("question") or ""), statements or {}, about)
        notes.outputs["estimates"] = written
    return EvaluateSummary(
        study=study,
        experiments=sum(len(task.models) for task in found.tasks),
        estimates=len(made.estimates),
        pictures=len(made.pictures),
        checks_failed=sum(each.outcome == "failed" for each in made.checks),
        checks=made.answered.checks,
        answers=made.answered.answers,
        absent=made.absent,
        digest=written,
        seconds=time.monotonic() - clock,
    )


@dataclass(frozen=True)
class ScoredTask:
    """The results of one task."""

    task: Task
    choice: Choice
    estimates: tuple[EstimateRow, ...]
    checks: tuple[CheckRow, ...]
    audited: tuple[tables.AuditRow, ...]
    """Rows of the table `audits`."""
    smallest: Smallest | None
    answer: Answer
    figures: Figures


@dataclass(frozen=True)
class Described:
    """The flow, Table 1 and audits of one cohort."""

    flow: Mapping[str, Any]
    table_one: tuple[Mapping[str, Any], ...]
    checks: tuple[CheckRow, ...]
    audited: tuple[tables.AuditRow, ...]


@dataclass(frozen=True)
class Evaluated:
    """The results of one study."""

    found: Gathered
    options: EvaluationOptions
    tasks: tuple[ScoredTask, ...]
    cohorts: tuple[Described, ...]
    pictures: tuple[PictureRow, ...]
    checks: tuple[CheckRow, ...]

    @property
    def estimates(self) -> list[EstimateRow]:
        """Estimates of all tasks."""
        return [row for each in self.tasks for row in each.estimates]

    @property
    def absent(self) -> list[str]:
        """Experiments of the study without predictions."""
        return sorted(set(self.found.absent))

    @cached_property
    def answered(self) -> Answers:
        """The answers, each with the failed checks that affect it, and the failed checks that affect the study."""
        tasks = {task.name: task for task in self.found.tasks}
        return with_failed_checks([each.answer for each in self.tasks], tasks, self.checks, self.found.tasks_of)


def evaluated(workspace: Workspace, found: Gathered, options: EvaluationOptions) -> Evaluated:
    """Compute all results of a study: scores, comparisons, subgroups, audits, pictures. Writes nothing."""
    tables_one = {name: _table_one(found, cohort, options) for name, cohort in found.cohorts.items()}
    scored = []
    with progress(len(found.tasks), "evaluate", unit="tasks") as bar:
        for task in found.tasks:
            scored.append(scored_task(task, options, cohorts.hidden_levels(tables_one[task.cohort.name])))
            bar.advance()
    choices = {each.task.name: each.choice for each in scored}
    drawn, undrawn = pictures.drawn(workspace, found, choices, options)
    described = [
        _described(workspace, found, cohort, tables_one[name], options) for name, cohort in found.cohorts.items()
    ]
    checks = [
        *found.checks,
        *(check for each in scored for check in each.checks),
        *undrawn,
        *(check for each in described for check in each.checks),
        *(_absent(name) for name in sorted(set(found.absent))),
    ]
    return Evaluated(found, options, tuple(scored), tuple(described), tuple(drawn), tuple(checks))


def scored_task(task: Task, options: EvaluationOptions, hidden: set[tuple[str, str, str]]) -> ScoredTask:
    """Compute the results of one task.

    `hidden` are cells (column, level, sex) that Table 1 hides; subgroups and figures hide them too.
    """
    choice = choose(task)
    scored, checks = score(task, options, choice)
    scored += [*compare(task, options, choice), *variants.scores(task, options)]
    least = smallest(task, choice)
    cells = by_subgroup(task, options, choice, hidden)
    audited, judged = audit(AuditedTask(task, options, choice, scored, cells, least))
    return ScoredTask(
        task,
        choice,
        (*without_small_counts(task, scored, options.least_patients), *cells),
        tuple(each.of(task.name) for each in (*checks, *judged)),
        tuple(audited),
        least,
        answer(task, scored, choice, options.confidence, options.least_patients),
        Figures.of(task, options, hidden),
    )


def _table_one(found: Gathered, cohort: FrozenCohort, options: EvaluationOptions) -> list[dict[str, Any]]:
    least, width = options.least_patients, options.age_band_years
    return cohorts.table_one(cohort, found.attributes, least, width, found.rotations(cohort.name))


def _described(
    workspace: Workspace,
    found: Gathered,
    cohort: FrozenCohort,
    table_one: list[dict[str, Any]],
    options: EvaluationOptions,
) -> Described:
    names = [each for task in found.tasks if task.cohort.name == cohort.name for each in sorted(task.models)]
    ages = by_age_and_sex(cohort, found.attributes, table_one, options.least_patients, options.age_band_years)
    flow = cohorts.flow(cohort, names, found.rotations(cohort.name)) | {"ages": ages}
    audited, judged = audit(AuditedCohort(cohort, found.attributes, workspace))
    return Described(flow, tuple(table_one), tuple(judged), tuple(audited))


def _absent(name: str) -> CheckRow:
    return CheckRow(
        "EVAL011",
        "warning",
        "failed",
        "experiments without predictions",
        f"{name}: has no predictions, so it has no row in the tables.",
        offenders=1,
        section="comparison",
        about=name,
    )


def _write(workspace: Workspace, folder: Path, study: str, made: Evaluated) -> str:
    """Write all tables of the evaluation; returns the digest of estimates and check results."""
    estimates = Estimates.from_rows(each.as_row(study) for each in made.estimates)
    Estimates.write(estimates, folder / "estimates.parquet")
    Figures.together([each.figures for each in made.tasks]).write(folder)
    pictured = Pictures.from_rows({"study": study, **asdict(each)} for each in made.pictures)
    Pictures.write(pictured, folder / "pictures.parquet")
    audited = [asdict(row) for each in (*made.tasks, *made.cohorts) for row in each.audited]
    tables.AuditRows.write(tables.AuditRows.from_rows(audited), folder / "audits.parquet")
    write_json(without_paths({"cohorts": [each.flow for each in made.cohorts]}), folder / "flow.json")
    one = tables.TableOne.from_rows(dict(row) for each in made.cohorts for row in each.table_one)
    tables.TableOne.write(one, folder / "table_one.parquet")
    checks = CheckResults.from_rows(each.as_row(study) for each in made.checks)
    CheckResults.write(checks, folder / "check_results.parquet")
    Ledger.write(_ledger(workspace, made.found, study), folder / "ledger.parquet")
    return digest_of([digest_of_frame(estimates), digest_of_frame(checks)])


def _ledger(workspace: Workspace, found: Gathered, study: str) -> pl.DataFrame:
    """The ledger's rows about this study: its stages, its cohorts and their archives."""
    rows = Ledger.read(sorted(workspace.ledger.glob("*.parquet")))
    names = {cohort.name for cohort in found.cohorts.values()} | set(workspace.settings.archives)
    mine = (
        (pl.col("subject") == study)
        | pl.col("subject").str.starts_with(f"{study}/")
        | pl.col("subject").str.starts_with(f"{study}-")
        | pl.col("subject").is_in(sorted(names))
    )
    return rows.filter(mine).sort("started", "run")


def _write_notes(  # noqa: PLR0917  what the study file says
    folder: Path,
    study: str,
    made: Evaluated,
    question: str,
    statements: Mapping[str, str],
    study_file: Mapping[str, Any],
) -> None:
    """Write answer.json, provenance.json and, last, study.json."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    options, found = made.options, made.found
    write_json(asdict(made.answered), folder / "answer.json")
    ledger = pl.read_parquet(folder / "ledger.parquet")
    write_json(plain(without_paths(provenance(found, ledger, study_file, now))), folder / "provenance.json")
    experiments = [
        experiment_notes(each.task, name, each.choice) for each in made.tasks for name in sorted(each.task.models)
    ]
    notes = {
        "format": FORMAT,
        "study": study,
        "question": question,
        "statements": dict(statements),
        "confidence": options.confidence,
        "bootstraps": options.bootstraps,
        "least_patients": options.least_patients,
        "age_band_years": options.age_band_years,
        "show_unexamined": options.show_unexamined,
        "pictures": left_out(found.attributes, options.least_patients),
        "written": now,
        "tasks": [task_notes(each.task, each.choice, each.smallest, options) for each in made.tasks],
        "experiments": [*experiments, *unscored_notes(found, study_file)],
    }
    write_json(plain(without_paths(notes)), folder / "study.json")
