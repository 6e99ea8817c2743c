"""evaluate: predictions → estimates, comparisons, audits → tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xray_mining.cli.app import JsonOption, WorkspaceOption, app, finish, say_notes

if TYPE_CHECKING:
    from xray_mining.evaluation.evaluate import EvaluateSummary


@app.command()
def evaluate(
    study: Annotated[str, typer.Argument(help="a study's name, its YAML file, or a name under experiments/")],
    workspace: WorkspaceOption,
    as_json: JsonOption = False,
) -> None:
    """Turn a study's predictions into estimates, comparisons, checks and pictures.

    Example: xray-mining evaluate demo
    """
    from xray_mining.catalog.merge import merge
    from xray_mining.study.conduct import stop_at_errors
    from xray_mining.workspace import Workspace

    summary = _evaluate(study, workspace)
    # Other programs read the tables' file as it is.
    merge(Workspace.open(workspace))
    finish(summary, as_json)
    stop_at_errors(Workspace.open(workspace).evaluation(summary.study))


def _evaluate(name: str, root: Path) -> "EvaluateSummary":
    """By the study file; a study whose file is not at hand is scored as its last evaluation was, or by default."""
    import json

    from xray_mining.errors import UserError
    from xray_mining.evaluation.evaluate import evaluate
    from xray_mining.models.experiment import standings, with_nulls
    from xray_mining.study.current import find_study
    from xray_mining.study.options import Study
    from xray_mining.workspace import Workspace, checked

    workspace = Workspace.open(root)
    try:
        study = find_study(name, workspace)
    except UserError:
        if Path(name).suffix or not workspace.experiment(name, "").is_dir():
            raise
        before = workspace.evaluation(name) / "provenance.json"
        told = json.loads(before.read_text(encoding="utf-8")).get("study") if before.is_file() else None
        if not told:
            return evaluate(workspace, name)
        study = checked(Study, told, f"evaluations/{name}/provenance.json")
    say_notes(study.notes)
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
