"""`evaluate STUDY`: predictions → estimates, comparisons, checks, pictures and what the page needs beside them."""

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from xray_mining.errors import UserError
from xray_mining.evaluation import cohorts, comparisons, curves, pictures, variants
from xray_mining.evaluation.answer import answer, answer_lines, failed_checks
from xray_mining.evaluation.audits import AuditedCohort, AuditedTask, audit
from xray_mining.evaluation.choice import Choice, choose
from xray_mining.evaluation.comparisons import Smallest
from xray_mining.evaluation.estimates import score
from xray_mining.evaluation.gather import Gathered, finding, gather
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.people import by_age_and_sex
from xray_mining.evaluation.subgroups import by_subgroup
from xray_mining.evaluation.task import Model, Task
from xray_mining.models.freshness import Standing
from xray_mining.progress import progress
from xray_mining.records import evaluation_tables as tables
from xray_mining.records.check_results import CheckResults
from xray_mining.records.cohort_targets import CohortTargets
from xray_mining.records.estimates import Estimates, Pictures
from xray_mining.records.ledger import Ledger, record_run
from xray_mining.workspace import Workspace, digest_of, digest_of_frame, sweep, versions, write_json

FORMAT = 1


@dataclass(frozen=True, slots=True)
class EvaluateSummary:
    """What `evaluate` says when it ends."""

    study: str
    experiments: int
    estimates: int
    pictures: int
    checks_failed: int
    checks: list[dict[str, str]]
    """Failed ones that touch the whole study."""
    answers: list[dict[str, Any]]
    """A task each, with the failed checks that touch it; as in answer.json."""
    absent: list[str]
    digest: str
    """Digest of the estimates and check results."""
    seconds: float

    def lines(self) -> list[str]:
        """The answers first."""
        lines = [*answer_lines(self.checks, self.answers), self.counts]
        if self.absent:
            lines.append(f"without predictions: {', '.join(self.absent)}")
        return lines

    @property
    def counts(self) -> str:
        """How much was made of what, in one line."""
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

    `question`, `statements` and `study_file` (the whole study as JSON) are passed on to the page; `experiments` are
    the names that the study has: those without predictions are named. Experiments that `standings` calls stale are
    not scored: a failed check names each. Trains nothing, draws nothing by itself but resamples. Raises UserError
    where there is nothing to score.
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
        # study.json is written last: a folder without it is not finished, and report says so.
        (folder / "study.json").unlink(missing_ok=True)
        written = _Written(workspace, study, folder, options, found)
        choices = written.scores()
        shown = written.pictures(choices)
        written.cohorts()
        absent = sorted(set(found.absent))
        written.checks(absent)
        written.ledger()
        told = without_paths(dict(study_file or {}))
        written.notes(choices, question, statements or {}, told, absent)
        digest = digest_of([digest_of_frame(written.estimates), digest_of_frame(written.check_results)])
        notes.outputs["estimates"] = digest
    failed = written.check_results.filter(pl.col("outcome") == "failed").height
    return EvaluateSummary(
        study=study,
        experiments=sum(len(task.models) for task in found.tasks),
        estimates=written.estimates.height,
        pictures=shown,
        checks_failed=failed,
        checks=written.said["checks"],
        answers=written.said["answers"],
        absent=absent,
        digest=digest,
        seconds=time.monotonic() - clock,
    )


class _Written:
    """The evaluation folder while it is written, one file after the other."""

    def __init__(
        self, workspace: Workspace, study: str, folder: Path, options: EvaluationOptions, found: Gathered
    ) -> None:
        self.workspace, self.study, self.folder = workspace, study, folder
        self.options, self.found = options, found
        self.findings = list(found.findings)
        self.answers: list[dict[str, Any]] = []
        self.said: dict[str, Any] = {}
        """answer.json."""
        self.audited: list[dict[str, Any]] = []
        self.smallest: dict[str, Smallest | None] = {}
        self.estimates = Estimates.create_empty()
        self.check_results = CheckResults.create_empty()

    def scores(self) -> dict[str, Choice]:
        """Estimates, comparisons, subgroups and the tables of the figures."""
        options, choices = self.options, {}
        rows: list[dict[str, Any]] = []
        drawn: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("roc", "error_by_age", "calibration", "confusion")
        }
        points: list[pl.DataFrame] = []
        with progress(len(self.found.tasks), "evaluate", unit="tasks") as bar:
            for task in self.found.tasks:
                choice = choices[task.name] = choose(task)
                scored, findings = score(task, options, choice)
                scored += comparisons.compare(task, options, choice)
                scored += variants.scores(task, options)
                self.smallest[task.name] = comparisons.smallest(task, choice)
                self.answers.append(answer(task, scored, choice, options.confidence, options.least_patients))
                hidden = cohorts.hidden_levels(self.table_one[task.cohort.name])
                cells = by_subgroup(task, options, choice, hidden)
                rows += scored + cells
                figures, judged = audit(AuditedTask(task, options, choice, scored, cells, self.smallest[task.name]))
                self.audited += figures
                findings += judged
                self.findings += [each | {"about": each["about"] or task.name} for each in findings]
                for name, draw in _DRAWN.items():
                    drawn[name] += draw(task, options)
                drawn["error_by_age"] += curves.error_by_age(task, options, hidden)
                frame = curves.scatter(task, options)
                if frame is not None:
                    points.append(frame)
                bar.advance()
        self.estimates = Estimates.write(
            Estimates.from_rows({"study": self.study} | each for each in rows), self.folder / "estimates.parquet"
        )
        for name, record in _RECORDS.items():
            record.write(record.from_rows(drawn[name]), self.folder / f"{name}.parquet")
        empty = tables.ScatterPoints.create_empty()
        tables.ScatterPoints.write(
            pl.concat([each.select(empty.columns) for each in points]) if points else empty,
            self.folder / "scatter.parquet",
        )
        return choices

    def pictures(self, choices: Mapping[str, Choice]) -> int:
        """Average radiographs of the largest cohort and cases of every task, where the pixel store is there."""
        rows: list[dict[str, Any]] = []
        # Rows of averages of overlapping cohorts side by side would only confuse.
        private = self.workspace.private_archives()
        largest = max(self.found.cohorts.values(), key=lambda cohort: cohort.members().height, default=None)
        for cohort in self.found.cohorts.values():
            store = pictures.open_store(self.workspace, cohort)
            title = "pictures for the page"
            if store is None:
                sentence = f"{cohort.name}: the pixel store is not there, so no average and no case is drawn."
                self.findings.append(
                    finding("EVAL010", "note", "skipped", title, sentence, section="average_images", about=cohort.name)
                )
                continue
            try:
                drawn = []
                if cohort is largest:
                    drawn += pictures.averages(store, cohort, self.found.attributes, self.options)
                for task in self.found.tasks:
                    if task.cohort.name == cohort.name:
                        drawn += pictures.cases(store, task, choices[task.name], self.options, private)
            except UserError as error:
                sentence = f"{cohort.name}: {error}"
                self.findings.append(finding("EVAL010", "warning", "failed", title, sentence, about=cohort.name))
                continue
            finally:
                store.close()
            rows += drawn
        order: dict[str, int] = {}
        for each in rows:
            each["study"] = self.study
            each["order"] = order[each["section"]] = order.get(each["section"], -1) + 1
        Pictures.write(Pictures.from_rows(rows), self.folder / "pictures.parquet")
        return len(rows)

    @cached_property
    def table_one(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of Table 1 by the cohort's name; subgroups leave out what it does not tell."""
        return {
            name: cohorts.table_one(
                cohort,
                self.found.attributes,
                self.options.least_patients,
                self.options.age_band_years,
                self._rotations(name),
            )
            for name, cohort in self.found.cohorts.items()
        }

    def _rotations(self, cohort: str) -> int:
        return max((_rotations(task) for task in self.found.tasks if task.cohort.name == cohort), default=1)

    def cohorts(self) -> None:
        """flow.json, table_one.parquet and the leak gate of every cohort."""
        flows, rows = [], []
        for name, cohort in self.found.cohorts.items():
            names = [each for task in self.found.tasks if task.cohort.name == name for each in sorted(task.models)]
            least, width = self.options.least_patients, self.options.age_band_years
            ages = by_age_and_sex(cohort, self.found.attributes, self.table_one[name], least, width)
            flows.append(cohorts.flow(cohort, names, self._rotations(name)) | {"ages": ages})
            rows += self.table_one[name]
            figures, judged = audit(AuditedCohort(cohort, self.found.attributes, self.workspace))
            self.audited += figures
            self.findings += judged
        tables.AuditRows.write(tables.AuditRows.from_rows(self.audited), self.folder / "audits.parquet")
        write_json(without_paths({"cohorts": flows}), self.folder / "flow.json")
        tables.TableOne.write(tables.TableOne.from_rows(rows), self.folder / "table_one.parquet")

    def checks(self, absent: Sequence[str]) -> None:
        """check_results.parquet."""
        for name in absent:
            self.findings.append(
                finding(
                    "EVAL011",
                    "warning",
                    "failed",
                    "experiments without predictions",
                    f"{name}: has no predictions, so its row is absent.",
                    offenders=1,
                    section="comparison",
                    about=name,
                )
            )
        rows = [{"subject": self.study} | each for each in self.findings]
        self.check_results = CheckResults.write(CheckResults.from_rows(rows), self.folder / "check_results.parquet")

    def ledger(self) -> None:
        """The ledger's rows that concern this study: its own stages, its cohorts, and the archives they draw from."""
        rows = Ledger.read(sorted(self.workspace.ledger.glob("*.parquet")))
        names = {cohort.name for cohort in self.found.cohorts.values()} | set(self.workspace.settings.archives)
        mine = (
            (pl.col("subject") == self.study)
            | pl.col("subject").str.starts_with(f"{self.study}/")
            | pl.col("subject").str.starts_with(f"{self.study}-")
            | pl.col("subject").is_in(sorted(names))
        )
        Ledger.write(rows.filter(mine).sort("started", "run"), self.folder / "ledger.parquet")

    def notes(
        self,
        choices: Mapping[str, Choice],
        question: str,
        statements: Mapping[str, str],
        told: Mapping[str, Any],
        absent: Sequence[str],
    ) -> None:
        """answer.json, provenance.json and, last, study.json."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        tasks = {task.name: task for task in self.found.tasks}
        general, answers = failed_checks(self.answers, tasks, self.check_results.to_dicts(), self.found.tasks_of)
        self.said = {"checks": general, "answers": answers}
        write_json(self.said, self.folder / "answer.json")
        write_json(_plain(without_paths(self._provenance(told, now))), self.folder / "provenance.json")
        about = told.get("experiments") or {}
        experiments = [
            _experiment(task, name, choices[task.name]) for task in self.found.tasks for name in sorted(task.models)
        ]
        for outcome, names in (("absent", absent), ("stale", self.found.stale)):
            experiments += [
                {
                    "experiment": name,
                    "model": _model_of(about.get(name)),
                    "task": self.found.tasks_of.get(name, ""),
                    "outcome": outcome,
                }
                for name in names
            ]
        study = {
            "format": FORMAT,
            "study": self.study,
            "question": question or str(told.get("question") or ""),
            "statements": dict(statements),
            "confidence": self.options.confidence,
            "bootstraps": self.options.bootstraps,
            "least_patients": self.options.least_patients,
            "age_band_years": self.options.age_band_years,
            "show_unexamined": self.options.show_unexamined,
            "pictures": self._left_out(),
            "written": now,
            "tasks": [self._task(task, choices[task.name]) for task in self.found.tasks],
            "experiments": experiments,
        }
        write_json(_plain(without_paths(study)), self.folder / "study.json")

    def _task(self, task: Task, choice: Choice) -> dict[str, Any]:
        target = task.target
        smallest = self.smallest.get(task.name)
        return {
            "task": task.name,
            "cohort": task.cohort.name,
            "cohort_digest": task.cohort.digest,
            "target": target.name,
            "kind": target.kind,
            "unit": target.unit,
            "is_age": target.is_age,
            "positive": target.positive,
            "classes": list(target.classes),
            "level": task.level,
            "patients": task.patients,
            "images": len(task.truth),
            "rotations": _rotations(task),
            "metric": task.metric,
            "experiments": sorted(task.models),
            "best": choice.best,
            "best_baseline": choice.best_baseline,
            "frozen": choice.frozen,
            "best_null": choice.best_null,
            "blind": choice.blind,
            "centre": task.of_architecture("centre"),
            "oracle": next((model.name for model in task.models.values() if model.kind == "oracle"), ""),
            "chosen": choice.how,
            "unanswered": self._unanswered(task),
            "undrawn": int((~curves.drawable(task, self.options)).sum()),
            "smallest_difference": smallest.difference if smallest else None,
            "smallest_rival": smallest.rival if smallest else "",
            "smallest_rival_role": smallest.role if smallest else "",
        }

    def _left_out(self) -> dict[str, int]:
        """How many members are shown in no picture, and of how many nobody looked for flags or letters."""
        known = self.found.attributes
        unseen = pl.col("quality_flags").is_null() | pl.col("burned_in_text").is_null()
        return {
            "left_out": known.height - pictures.fit_to_show(known).height,
            "not_looked_at": known.filter(unseen).height,
        }

    def _unanswered(self, task: Task) -> dict[str, int]:
        """How many of the cohort's members, by role, have no known value of the target."""
        values = CohortTargets.read(task.cohort.folder / "cohort_targets.parquet").filter(
            (pl.col("target") == task.target.name) & (pl.col("value").is_not_null() | pl.col("label").is_not_null())
        )
        without = task.cohort.members().join(values, on="image_key", how="anti")
        return {str(role): int(count) for role, count in without.group_by("split").len().sort("split").iter_rows()}

    def _provenance(self, told: Mapping[str, Any], now: str) -> dict[str, Any]:
        rows = pl.read_parquet(self.folder / "ledger.parquet")
        runs = 1 + rows.filter((pl.col("stage") == "evaluate") & (pl.col("outcome") == "done")).height
        models = [(task, model) for task in self.found.tasks for model in task.models.values()]
        licences: dict[str, str] = {}
        for _, model in models:
            licences |= _licences(model.notes)
        return {
            "study": dict(told),
            "study_digest": digest_of(told) if told else "",
            "versions": dict(versions()),
            "cohorts": [
                {"cohort": each.name, "digest": each.digest, "sql": each.sql, "parameters": dict(each.parameters)}
                for each in self.found.cohorts.values()
            ],
            "experiments": [
                {"experiment": model.name, "digest": model.digest} | _told(model.notes) for _, model in models
            ],
            "licences": licences,
            "seeds": sorted({seed for _, model in models for seed in model.seeds if seed >= 0}),
            "test_reads": [
                {"experiment": model.name, "target": task.target.name, "files": model.files, "evaluations": runs}
                for task, model in models
            ],
            "commands": rows.sort("started")["command"].unique(maintain_order=True).to_list(),
            "written": now,
        }


_DRAWN = {
    "roc": curves.roc,
    "calibration": curves.calibration,
    "confusion": curves.confusion,
}
_RECORDS = {
    "roc": tables.RocPoints,
    "error_by_age": tables.ErrorByAge,
    "calibration": tables.CalibrationBins,
    "confusion": tables.Confusion,
}


def _rotations(task: Task) -> int:
    return max((len(model.rotations) for model in task.models.values()), default=1)


def _is_calibrated(task: Task, model: Model) -> bool:
    return any(side.calibrated for side in task.kind.probabilities(task, model))


def _experiment(task: Task, name: str, choice: Choice) -> dict[str, Any]:
    model = task.models[name]
    value = choice.scores.get(name)
    return {
        "experiment": name,
        "model": model.architecture,
        "model_kind": model.kind,
        "task": task.name,
        "cohort": task.cohort.name,
        "target": task.target.name,
        "digest": model.digest,
        "seeds": list(model.seeds),
        "rotations": list(model.rotations),
        "calibrated_fits": model.calibrated_fits if _is_calibrated(task, model) else 0,
        "fits": model.fits,
        "licences": _licences(model.notes),
        "members": list(model.options.get("members") or []),
        "seconds": model.notes.get("seconds"),
        "validation_score": value,
        "outcome": "done",
    }


def _told(notes: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment's notes without its calibration maps: their steps are shares of few patients, no page's matter."""
    told = dict(notes)
    if isinstance(fits := told.get("fits"), Mapping):
        told["fits"] = {
            name: {key: value for key, value in fit.items() if key != "calibration"} for name, fit in fits.items()
        }
    return told


def _licences(notes: Mapping[str, Any]) -> dict[str, str]:
    found = notes.get("licences") or {}
    if isinstance(found, Mapping):
        return {str(name): str(licence) for name, licence in found.items()}
    return {str(each): "" for each in found} if isinstance(found, list) else {}


def _model_of(about: object) -> str:
    return str(about.get("model") or "") if isinstance(about, Mapping) else ""


FILES = ("weights", "query", "mapping")
"""Options that name a file, or something by a name: a file's folders are nobody's business."""
PATH = re.compile(r"(?:/|~[^/\\]*[/\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\|file:)[^\n]*")


def without_paths(value: Any) -> Any:
    """JSON whose paths stand without their folders: everywhere absolute and dotted ones, in FILES any with a slash."""
    if isinstance(value, Mapping):
        return {
            without_paths(key): _name(each)
            if key in FILES and isinstance(each, str) and ("/" in each or "\\" in each)
            else without_paths(each)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_paths(each) for each in value]
    return _name(value) if isinstance(value, str) and PATH.fullmatch(value) else value


def _name(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1] or path


def _plain(value: Any) -> Any:
    """`value` without nan and infinities, which JSON has no word for."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return json.loads(json.dumps(value, default=str))
