"""Render sections as one self-contained HTML file, with tables as CSV and figures as SVG in a folder beside it."""

import base64
import hashlib
import pkgutil
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from xray_mining.records.check_results import words
from xray_mining.reporting import documents, sections, side_by_side
from xray_mining.reporting.figures import standalone
from xray_mining.reporting.layout import title_of
from xray_mining.reporting.results import Results, Task
from xray_mining.reporting.section import Figure, Section, refuse_doubles
from xray_mining.reporting.sections import comparison
from xray_mining.workspace import asset, write_atomically


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """Closing summary of `report`."""

    study: str
    answer: tuple[str, ...]
    page: str
    bytes: int
    sections: int
    tables: int
    figures: int
    alerts: int

    def lines(self) -> list[str]:
        """The answers and the path of the page."""
        size = f"{self.bytes / 1e6:.1f} MB" if self.bytes >= 1e5 else f"{self.bytes / 1e3:.0f} kB"
        alerts = f"; {self.alerts} of its checks failed" if self.alerts else ""
        return [
            *self.answer,
            f"report: {self.page} ({size}, {self.sections} sections, {self.tables} tables, {self.figures} figures"
            f"{alerts})",
        ]


def section_modules(package: ModuleType = sections) -> list[ModuleType]:
    """All modules of a package of sections (default: reporting/sections), in the order of the page."""
    found = [import_module(f"{package.__name__}.{each.name}") for each in pkgutil.iter_modules(package.__path__)]
    return sorted(found, key=lambda module: (module.ORDER, module.__name__))


def build(results: Results) -> list[Section]:
    """The sections that apply to a study, in the order of the page."""
    return [module.build(results) for module in section_modules() if module.applies(results)]


def alerts(results: Results, built: Sequence[Section]) -> list[dict[str, str]]:
    """Failed checks, the worst first, each with the anchor of its section (Audits if the page has no such section)."""
    anchors = {section.anchor for section in built}
    worst = {"error": 0, "warning": 1, "note": 2}
    failed = [row for row in results.check_results.iter_rows(named=True) if row["outcome"] == "failed"]
    failed.sort(key=lambda row: (worst[row["severity"]], row["code"], row["sentence"]))
    return [
        row
        | {
            "anchor": row["section"] if row["section"] in anchors else "audits",
            "sentence": words(row),
            "about": results.about_words(row["about"]),
        }
        for row in failed
    ]


def environment() -> Any:
    """The environment of the templates: all text is escaped, and an unknown name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(asset("reports/templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["base64"] = lambda data: base64.b64encode(data).decode()
    templates.filters["csv_link"] = lambda table: (
        "data:text/csv;charset=utf-8;base64," + base64.b64encode(table.csv().encode()).decode()
    )
    templates.tests["of"] = lambda block, name: type(block).__name__ == name
    return templates


def render(results: Results, built: Sequence[Section]) -> str:
    """The HTML text of one study's page."""
    head = {
        "title": f"{results.question or results.study} – xray_mining",
        "menu": "The answer",
        "eyebrow": f"Study {results.study}",
        "heading": results.question or f"Study {results.study}",
        "answers": [
            {
                "title": title_of(results, task) if len(results.tasks) > 1 else "",
                "sentences": results.answers.get(task.task, ())
                or ("There is no answer, because there are no estimates.",),
                "touched": _touched(results, task),
            }
            for task in results.tasks
        ],
        "figures": lead_figures(results),
        "calm": _calm(results),
        "facts": _facts(results),
    }
    return rendered(head, alerts(results, built), built)


def lead_figures(results: Results) -> list[Figure]:
    """Figures below the answers: all models of each task, so that the best can be compared with the others at once."""
    return [figure for task in results.tasks if (figure := comparison.all_models(results, task)) is not None]


def _touched(results: Results, task: Task) -> str:
    """A sentence about failed checks that affect this answer; an empty text if there are none."""
    names = {"", task.task, task.cohort, *task.experiments}
    failed = results.check_results.filter((pl.col("outcome") == "failed") & pl.col("about").fill_null("").is_in(names))
    codes = failed["code"].unique().sort().to_list()
    if not codes:
        return ""
    return (
        f"{failed.height} failed {'check affects' if failed.height == 1 else 'checks affect'} this answer: "
        f"{', '.join(codes)}."
    )


def rendered(head: dict[str, Any], found: Sequence[dict[str, str]], built: Sequence[Section]) -> str:
    """The HTML text of a page, with its style sheet and script.

    Args:
        head: Title, answers, figures and facts at the top.
        found: Alerts. The link of an alert leads to its `anchor`; it counts for the section `within`, or for `anchor`
            if it has no `within`.
        built: The sections.
    """
    from markupsafe import Markup

    refuse_doubles(built, head.get("figures", ()))
    style, script = asset("reports/style.css").read_text("utf-8"), asset("reports/page.js").read_text("utf-8")
    seal = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    alerted = {
        section.anchor: sum(row.get("within", row["anchor"]) == section.anchor for row in found) for section in built
    }
    said = {"alerts": f"{len(found)} {'check' if len(found) == 1 else 'checks'} failed", "alerted": "failed"}
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            page={"figures": ()} | said | head,
            sections=built,
            alerts=[{"about": ""} | each for each in found],
            alerted=alerted,
            style=Markup(style),
            script=Markup(script),
            script_seal=seal,
            svg=Markup,
        )
    )


def _calm(results: Results) -> str:
    outcomes = results.check_results["outcome"].to_list()
    if not outcomes:
        return "No check was run for this study."
    passed = outcomes.count("passed")
    unsaid = len(outcomes) - passed
    rest = f"; {unsaid} could not run or do not apply" if unsaid else ""
    return f"No check failed: {passed} of {len(outcomes)} passed{rest}."


def _facts(results: Results) -> list[tuple[str, str]]:
    facts = []
    for task in results.tasks:
        name = f", {task.words[:1].lower()}{task.words[1:]}" if len(results.tasks) > 1 else ""
        facts.append((f"Test patients{name}", f"{task.patients:,}"))
    facts.append(("Models", f"{len(results.experiments):,}"))
    if results.notes.written:
        facts.append(("Evaluated", results.notes.written[:10]))
    return facts


def write(folders: Path | Sequence[Path], page: Path) -> ReportSummary:
    """Write the page of one evaluation folder, or of several side by side.

    The folder beside the page (`page` without ending) gets all tables as CSV, figures as SVG and pictures as PNG, and
    for one evaluation a model card and a draft of the methods.

    Args:
        folders: One evaluation folder, or several.
        page: The HTML file to write.

    Raises:
        UserError: if a folder has no evaluation.
    """
    # A page of several studies has other sections, and neither figures at the top nor a model card.
    folders = [folders] if isinstance(folders, Path) else list(folders)
    studies = [Results.load(folder) for folder in folders]
    beside = page.with_suffix("")
    if len(studies) == 1:
        built = build(studies[0])
        failed = len(alerts(studies[0], built))
        text = render(studies[0], built)
        lead = lead_figures(studies[0])
    else:
        head, found, built = side_by_side.head_and_sections(studies)
        failed = len(found)
        text = rendered(head, found, built)
        lead = []
    write_beside(beside, built, lead)
    if len(studies) == 1:
        write_bytes(beside / "model_card.md", documents.model_card(studies[0]).encode())
        write_bytes(beside / "methods.md", documents.methods(studies[0]).encode())
    write_bytes(page, text.encode())
    return ReportSummary(
        study=" ".join(results.study for results in studies),
        answer=tuple(
            sentence for results in studies for task in results.tasks for sentence in results.answers.get(task.task, ())
        ),
        page=str(page),
        bytes=len(text.encode()),
        sections=len(built),
        tables=sum(len(section.tables) for section in built),
        figures=len(lead) + sum(len(section.figures) for section in built),
        alerts=failed,
    )


def write_beside(beside: Path, built: Sequence[Section], lead: Sequence[Figure] = ()) -> None:
    """Write tables as CSV, figures as SVG and pictures as PNG into the folder beside a page; removes earlier ones.

    `lead` are the figures above all sections.
    """
    for kept in ("tables", "figures"):
        shutil.rmtree(beside / kept, ignore_errors=True)
    for figure in lead:
        write_bytes(beside / "figures" / f"{figure.name}.svg", standalone(figure).encode())
    for section in built:
        for table in section.tables:
            write_bytes(beside / "tables" / f"{table.name}.csv", table.csv().encode())
        for figure in section.figures:
            write_bytes(beside / "figures" / f"{figure.name}.svg", standalone(figure).encode())
        for gallery in section.galleries:
            for place, picture in enumerate(gallery.pictures):
                write_bytes(beside / "figures" / f"{gallery.name}-{place:02d}.png", picture.png)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file completely or not at all."""
    with write_atomically(path) as scratch:
        scratch.write_bytes(content)
