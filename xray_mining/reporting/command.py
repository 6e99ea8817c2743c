"""The command `report`: find the evaluations, write the page, add a row to the ledger."""

from collections.abc import Sequence
from pathlib import Path

from xray_mining.errors import UserError
from xray_mining.records.ledger import record_run
from xray_mining.reporting.page import ReportSummary, write
from xray_mining.workspace import Workspace, digest_of_file


def report(studies: str | Sequence[str], output: Path | None, root: Path) -> ReportSummary:
    """Write the page of one study, or of several side by side.

    Args:
        studies: Names of studies in the workspace, or paths of copied evaluation folders. If all are paths, no
            workspace is needed.
        output: The page's file; by default reports/STUDY.html of the workspace.
        root: The workspace's folder.

    Returns:
        The page's path, the answers on it, and numbers of sections, tables and figures.

    Raises:
        UserError: If a study has no evaluation.

    Example:
        >>> made = report("s", None, workspace.root)
        >>> Path(made.page).name, made.sections > 10
        ('s.html', True)
    """
    studies = [studies] if isinstance(studies, str) else studies
    copied = [Path(study) for study in studies]
    if all((folder / "study.json").is_file() for folder in copied):
        stem = "-".join(folder.resolve().name for folder in copied)
        return write(copied, output or copied[0].with_name(f"{stem}.html"))
    workspace = Workspace.open(root)
    folders = [_folder(workspace, study) for study in studies]
    given = [folder.resolve().name for folder in folders]
    with record_run(workspace, "report", " ".join(given), f"xray-mining report {' '.join(given)}") as notes:
        summary = write(folders, output or workspace.report("-".join(given)))
        notes.outputs["page"] = digest_of_file(Path(summary.page))
    return summary


def _folder(workspace: Workspace, study: str) -> Path:
    if (Path(study) / "study.json").is_file():
        return Path(study)
    folder = workspace.evaluation(study)
    if not folder.is_dir():
        home = workspace.root / "evaluations"
        known = sorted(each.name for each in home.iterdir() if each.is_dir()) if home.is_dir() else []
        raise UserError(
            f"report: study '{study}' has no evaluation; run `xray-mining evaluate {study}` first (evaluated studies: "
            f"{', '.join(known) or 'none'}), or name the folder evaluations/{study} of another workspace"
        )
    return folder
