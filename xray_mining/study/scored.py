"""Evaluate a study, with the options of its file or of its last evaluation."""

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
    """Turn the predictions of a study into estimates, comparisons, checks and pictures.

    Args:
        workspace: The workspace with the predictions.
        study: The study.

    Returns:
        The answers to the study's question, and counts of estimates and checks.

    Raises:
        UserError: If the study has no predictions in the workspace.

    Example:
        >>> from xray_mining.study.options import read_study
        >>> evaluate_study(workspace, read_study(study_file)).study
        's'
    """
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
    """The study of this name from its file, else from its last evaluation; None if both are missing.

    Raises UserError if the workspace has no experiments of it either.
    """
    try:
        return find_study(name, workspace)
    except UserError:
        if Path(name).suffix or not workspace.experiment(name, "").is_dir():
            raise
    before = workspace.evaluation(name) / "provenance.json"
    kept = json.loads(before.read_text(encoding="utf-8")).get("study") if before.is_file() else None
    return checked(Study, kept, f"evaluations/{name}/provenance.json") if kept else None


def evaluate_named(workspace: Workspace, name: str) -> EvaluateSummary:
    """Evaluate a study given by its file or name; without file and earlier evaluation, with the default options."""
    study = study_as_evaluated(workspace, name)
    return evaluate(workspace, name) if study is None else evaluate_study(workspace, study)
