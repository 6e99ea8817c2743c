"""A study's evaluation, by its file or as it was last evaluated."""

import json
from pathlib import Path

from xray_mining.errors import UserError
from xray_mining.evaluation.evaluate import EvaluateSummary, evaluate
from xray_mining.models.experiment import standings
from xray_mining.models.stated import with_nulls
from xray_mining.study.current import find_study
from xray_mining.study.options import Study
from xray_mining.workspace import Workspace, checked


def evaluate_study(workspace: Workspace, study: Study) -> EvaluateSummary:
    """Turn the predictions of a study into estimates, comparisons, checks and pictures."""
    return evaluate(
        workspace,
        study.study,
        study.evaluation,
        question=study.question,
        statements=study.said(),
        experiments=[*with_nulls(study.experiments), *study.absent],
        study_file=study.model_dump(mode="json"),
        standings=standings(workspace, study),
    )


def study_as_evaluated(workspace: Workspace, name: str) -> Study | None:
    """The study of this name: by its file, else as its last evaluation kept it; None where neither is there.

    Raises UserError where the workspace has no experiments of it either.
    """
    try:
        return find_study(name, workspace)
    except UserError:
        if Path(name).suffix or not workspace.experiment(name, "").is_dir():
            raise
    before = workspace.evaluation(name) / "provenance.json"
    told = json.loads(before.read_text(encoding="utf-8")).get("study") if before.is_file() else None
    return checked(Study, told, f"evaluations/{name}/provenance.json") if told else None


def evaluate_named(workspace: Workspace, name: str) -> EvaluateSummary:
    """The same for a study's file or name; without file and earlier evaluation, by the default options."""
    study = study_as_evaluated(workspace, name)
    return evaluate(workspace, name) if study is None else evaluate_study(workspace, study)
