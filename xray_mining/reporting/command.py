"""What the command `report` does: find the evaluation, lay it out, leave a row in the ledger."""

from pathlib import Path

from xray_mining.errors import UserError
from xray_mining.records.ledger import record_run
from xray_mining.reporting.page import ReportSummary, write
from xray_mining.workspace import Workspace, digest_of_file


def report(study: str, output: Path | None, root: Path) -> ReportSummary:
    """The page of a study in the workspace `root`, or of a copied evaluation folder that `study` is the path of."""
    copied = Path(study)
    if (copied / "study.json").is_file():
        return write(copied, output or copied.with_name(f"{copied.resolve().name}.html"))
    workspace = Workspace.open(root)
    folder = workspace.evaluation(study)
    if not folder.is_dir():
        home = workspace.root / "evaluations"
        known = sorted(each.name for each in home.iterdir() if each.is_dir()) if home.is_dir() else []
        raise UserError(
            f"report: study '{study}' has no evaluation; run `xray-mining evaluate {study}` first (evaluated are: "
            f"{', '.join(known) or 'none'})"
        )
    with record_run(workspace, "report", study, f"xray-mining report {study}") as notes:
        summary = write(folder, output or workspace.report(study))
        notes.outputs["page"] = digest_of_file(Path(summary.page))
    return summary
