"""The list of studies: shipped ones, and those with results in a workspace."""

import json
from dataclasses import dataclass
from pathlib import Path

from xray_mining.workspace import Workspace, asset, load_yaml


@dataclass(frozen=True, slots=True)
class KnownStudy:
    """One study."""

    study: str
    ships: bool
    """Whether it is a shipped study, which `run` takes by its name."""
    question: str
    experiments: int
    """Number of experiments in the workspace."""
    evaluated: bool
    report: str
    """Path of its page; an empty text if there is none."""


@dataclass(frozen=True, slots=True)
class StudiesSummary:
    """The summary of `studies`."""

    studies: tuple[KnownStudy, ...]

    def lines(self) -> list[str]:
        """One line for each study: its state in the workspace and its question."""
        lines = []
        for each in self.studies:
            done = [f"{each.experiments} experiments"] if each.experiments else []
            done += ["evaluated"] if each.evaluated else []
            done += [each.report] if each.report else []
            where = "shipped" if each.ships else "in this workspace"
            lines.append(f"{each.study} ({', '.join([where, *done])}): {each.question}")
        return lines


def known_studies(root: Path) -> StudiesSummary:
    """List the shipped studies and those in a workspace.

    Args:
        root: The workspace's folder, which need not exist.

    Returns:
        The studies sorted by name, with question, number of experiments and path of the page.

    Raises:
        UserError: If the folder has a workspace of another format.

    Example:
        >>> [each.study for each in known_studies(workspace.root).studies if not each.ships]
        ['s']
    """
    shipped = {path.stem: path for path in asset("pipelines/studies").glob("*.yaml")}
    workspace = Workspace.open(root) if (root / "workspace.yaml").is_file() else None
    names = set(shipped)
    if workspace is not None:
        for home in ("experiments", "evaluations"):
            names |= {path.name for path in (workspace.root / home).glob("*") if path.is_dir()}
    return StudiesSummary(tuple(_study(name, shipped.get(name), workspace) for name in sorted(names)))


def _study(name: str, shipped: Path | None, workspace: Workspace | None) -> KnownStudy:
    question, experiments, evaluated, page = "", 0, False, ""
    if shipped is not None:
        question = str(load_yaml(shipped).get("question", ""))
    if workspace is not None:
        experiments = sum(path.is_dir() for path in (workspace.root / "experiments" / name).glob("*"))
        notes = workspace.evaluation(name) / "study.json"
        evaluated = notes.is_file()
        if evaluated:
            question = _question_of(notes) or question
        page = str(workspace.report(name)) if workspace.report(name).is_file() else ""
    return KnownStudy(name, shipped is not None, question or "question not known", experiments, evaluated, page)


def _question_of(notes: Path) -> str:
    try:
        return str(json.loads(notes.read_text(encoding="utf-8")).get("question", ""))
    except (ValueError, AttributeError):
        return ""
