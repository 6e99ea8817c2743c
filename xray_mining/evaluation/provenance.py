"""study.json and provenance.json of an evaluation: what was scored, and from what. Their paths have no folders."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from xray_mining.evaluation import curves, pictures
from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.comparisons import Smallest
from xray_mining.evaluation.gather import Gathered
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.task import Model, Task
from xray_mining.records.cohort_targets import CohortTargets
from xray_mining.records.small_counts import is_small
from xray_mining.workspace import digest_of, versions


def task_notes(task: Task, choice: Choice, smallest: Smallest | None, options: EvaluationOptions) -> dict[str, Any]:
    """A task in study.json: its target, how it was scored, and which experiments were chosen."""
    target = task.target
    return {
        "task": task.name,
        "cohort": task.cohort.name,
        "cohort_digest": task.cohort.digest,
        "target": target.name,
        "kind": target.kind,
        "unit": target.unit,
        "is_age": task.is_age,
        "positive": target.positive,
        "classes": list(target.classes),
        "level": task.level,
        "patients": task.patients,
        "images": len(task.truth),
        "rotations": task.rotations,
        "metric": task.metric,
        "experiments": sorted(task.models),
        "best": choice.best,
        "best_baseline": choice.best_baseline,
        "frozen": choice.frozen,
        "best_null": choice.best_null,
        "blind": choice.blind,
        "centre": task.centre.name if task.centre else "",
        "oracle": task.oracle.name if task.oracle else "",
        "chosen": choice.how,
        "unanswered": _unanswered(task, options.least_patients),
        "undrawn": int((~curves.drawable(task, options)).sum()),
        "smallest_difference": smallest.difference if smallest else None,
        "smallest_rival": smallest.rival if smallest else "",
        "smallest_rival_role": smallest.role if smallest else "",
    }


def _unanswered(task: Task, least: int) -> dict[str, int | None]:
    """Number of the cohort's members without a known value of the target, by role; None for too few patients."""
    rows = CohortTargets.read(task.cohort.folder / "cohort_targets.parquet").filter(target=task.target.name)
    without = task.cohort.members().join(task.kind.answered(rows), on="image_key", how="anti")
    counted = without.group_by("split").agg(pl.len(), pl.col("patient_key").n_unique().alias("patients")).sort("split")
    return {str(role): None if is_small(patients, least) else count for role, count, patients in counted.iter_rows()}


def experiment_notes(task: Task, name: str, choice: Choice) -> dict[str, Any]:
    """A scored experiment in study.json."""
    model = task.models[name]
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
        "validation_score": choice.scores.get(name),
        "outcome": "done",
    }


def unscored_notes(found: Gathered, study_file: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Experiments in study.json that are not scored: their predictions are missing or stale."""
    about = study_file.get("experiments") or {}
    return [
        {
            "experiment": name,
            "model": _model_of(about.get(name)),
            "task": found.tasks_of.get(name, ""),
            "outcome": outcome,
        }
        for outcome, names in (("absent", sorted(set(found.absent))), ("stale", found.stale))
        for name in names
    ]


def _is_calibrated(task: Task, model: Model) -> bool:
    return any(side.calibrated for side in task.kind.probabilities(task, model))


def left_out(attributes: pl.DataFrame, least: int) -> dict[str, int | None]:
    """Number of members that no picture may show, and of members not examined for quality flags or burned-in text.

    None replaces a number below `least`.
    """
    unseen = pl.col("quality_flags").is_null() | pl.col("burned_in_text").is_null()
    counts = {
        "left_out": attributes.height - pictures.fit_to_show(attributes).height,
        "not_looked_at": attributes.filter(unseen).height,
    }
    return {name: None if is_small(count, least) else count for name, count in counts.items()}


def provenance(found: Gathered, ledger: pl.DataFrame, study_file: Mapping[str, Any], now: str) -> dict[str, Any]:
    """provenance.json: the inputs of the figures, and how often the test set was read."""
    runs = 1 + ledger.filter((pl.col("stage") == "evaluate") & (pl.col("outcome") == "done")).height
    models = [(task, model) for task in found.tasks for model in task.models.values()]
    licences: dict[str, str] = {}
    for _, model in models:
        licences |= _licences(model.notes)
    return {
        "study": dict(study_file),
        "study_digest": digest_of(study_file) if study_file else "",
        "versions": dict(versions()),
        "cohorts": [
            {"cohort": each.name, "digest": each.digest, "sql": each.sql, "parameters": dict(each.parameters)}
            for each in found.cohorts.values()
        ],
        "experiments": [
            {"experiment": model.name, "digest": model.digest} | without_maps(model.notes) for _, model in models
        ],
        "licences": licences,
        "seeds": sorted({seed for _, model in models for seed in model.seeds if seed >= 0}),
        "test_reads": [
            {"experiment": model.name, "target": task.target.name, "files": model.files, "evaluations": runs}
            for task, model in models
        ],
        "commands": ledger.sort("started")["command"].unique(maintain_order=True).to_list(),
        "written": now,
    }


def without_maps(notes: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment's notes without its calibration maps, because their steps reveal shares of few patients."""
    kept = dict(notes)
    if isinstance(fits := kept.get("fits"), Mapping):
        kept["fits"] = {
            name: {key: value for key, value in fit.items() if key != "calibration"} for name, fit in fits.items()
        }
    return kept


def _licences(notes: Mapping[str, Any]) -> dict[str, str]:
    found = notes.get("licences") or {}
    if isinstance(found, Mapping):
        return {str(name): str(licence) for name, licence in found.items()}
    return {str(each): "" for each in found} if isinstance(found, list) else {}


def _model_of(about: object) -> str:
    return str(about.get("model") or "") if isinstance(about, Mapping) else ""


FILES = ("weights", "query", "mapping")
"""Options whose value is a file or a name; the page must not reveal the folders of a file."""
PATH = re.compile(r"(?:/|~[^/\\]*[/\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\|file:)[^\n]*")


def without_paths(value: Any) -> Any:
    """Cut paths in JSON to file names: absolute and dotted paths everywhere, in FILES every value with a slash."""
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


def plain(value: Any) -> Any:
    """Replace nan and infinities in `value` by None, because JSON has no such numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return json.loads(json.dumps(value, default=str))
