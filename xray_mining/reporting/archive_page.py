"""The command `archive-report`: an HTML page about the content of the archives, with JSON and CSV beside it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xray_mining.catalog.overview import Overview, overview
from xray_mining.catalog.overview_change import changes, read_saved, saved
from xray_mining.evaluation.pictures import png
from xray_mining.pixels.store import PixelStore
from xray_mining.records.ledger import record_run
from xray_mining.reporting import archive_sections
from xray_mining.reporting.archive_results import ArchiveResults, StratumPicture
from xray_mining.reporting.page import rendered, section_modules, write_beside, write_bytes
from xray_mining.reporting.section import Section
from xray_mining.workspace import Workspace, digest_of_file, versions

SIDE_PX = 144
"""Side of a gallery picture; eighty pictures of this size need less than 2 MB."""
PAGE = "archive-report"
_WORST = {"error": 0, "warning": 1, "note": 2}
# Where the link of an alert leads: to the figure that shows it, in this section.
_FIGURES = {
    "accounts": ("archive-rejects-figure", "accounts"),
    "ages": ("archive-ages-figure", "ages"),
    "checks": ("archive-checks-figure", "checks"),
    "changes": ("archive-changes-figure", "changes"),
    "duplicates": ("archive-duplicates-figure", "duplicates"),
    "missing": ("archive-missing-figure", "missing"),
    "quality": ("archive-quality-figure", "quality"),
    "rejects": ("archive-rejects-figure", "accounts"),
}


@dataclass(frozen=True, slots=True)
class ArchiveReportSummary:
    """Closing summary of `archive-report`."""

    page: str
    data: str
    """The JSON file beside the page; a later page can be compared with it."""
    bytes: int
    images: int
    patients: int
    sections: int
    tables: int
    figures: int
    pictures: int
    alerts: tuple[str, ...]

    def lines(self) -> list[str]:
        """The alerts and the path of the page."""
        size = f"{self.bytes / 1e6:.1f} MB" if self.bytes >= 1e5 else f"{self.bytes / 1e3:.0f} kB"
        return [
            *(f"  {alert}" for alert in self.alerts),
            f"archive-report: {self.images:,} images of {self.patients:,} patients; {len(self.alerts)} alerts",
            f"archive-report: {self.page} ({size}, {self.sections} sections, {self.tables} tables, {self.figures} "
            f"figures, {self.pictures} pictures)",
        ]


def archive_report(
    workspace: Workspace, output: Path | None = None, compare: Path | None = None, *, show_unexamined: bool = False
) -> ArchiveReportSummary:
    """Write the page about the archives, with its JSON, tables and figures beside it.

    Args:
        workspace: The workspace; new parts are merged first.
        output: The page's file; by default reports/archive-report.html of the workspace.
        compare: The JSON of an earlier page; the new page shows what has changed since.
        show_unexamined: Whether to show pictures of private archives, and pictures whose header does not rule out
            burned-in text.

    Returns:
        The paths of page and JSON, the alerts, and numbers of images and patients.

    Raises:
        UserError: If `compare` is not the JSON of an earlier page.

    Example:
        >>> made = archive_report(workspace)
        >>> Path(made.page).name, made.images, made.patients
        ('archive-report.html', 60, 60)
    """
    earlier = read_saved(compare) if compare else None
    page = output or workspace.report(PAGE)
    command = "xray-mining archive-report" + (" --compare EARLIER.json" if compare else "")
    command += " --show-unexamined" if show_unexamined else ""
    # The ledger of the workspace records the run, even if it fails.
    with record_run(workspace, PAGE, ", ".join(sorted(workspace.settings.archives)), command) as notes:
        found = overview(workspace, unexamined=show_unexamined)
        now = datetime.now(UTC)
        changed = changes(earlier, found) if earlier else None
        results = ArchiveResults(found, _pictures(workspace, found), changed, _origin(found, command, now))
        built = build(results)
        raised = alerts(results, built)
        text = rendered(_head(results, len(raised)), raised, built)
        # The page is written last, so that there is never a new page without the files beside it.
        write_beside(page.with_suffix(""), built)
        write_bytes(page.with_suffix(".json"), _json(saved(found, f"{now:%Y-%m-%dT%H:%M:%SZ}")))
        write_bytes(page, text.encode())
        notes.inputs["catalog"] = found.catalog_digest
        notes.outputs["page"] = digest_of_file(page)
    return ArchiveReportSummary(
        page=str(page),
        data=str(page.with_suffix(".json")),
        bytes=len(text.encode()),
        images=results.totals["images"],
        patients=results.totals["patients"],
        sections=len(built),
        tables=sum(len(section.tables) for section in built),
        figures=sum(len(section.figures) for section in built),
        pictures=len(results.pictures),
        alerts=tuple(f"{row['severity']}: {row['sentence']}" for row in raised),
    )


def _origin(found: Overview, command: str, now: datetime) -> dict[str, str]:
    """Command, time, archives, digest and versions, as the page prints them."""
    packages = ("xray-mining", "duckdb", "polars")
    return {
        "Command": command,
        "Written, UTC": f"{now:%Y-%m-%d %H:%M}",
        "Archives": ", ".join(found.archives) or "none",
        "Digest of the catalog": found.catalog_digest,
    } | {name: version for name, version in versions().items() if name in packages}


def build(results: ArchiveResults) -> list[Section]:
    """The sections that apply to the archives, in the order of the page."""
    return [module.build(results) for module in section_modules(archive_sections) if module.applies(results)]


def alerts(results: ArchiveResults, built: Sequence[Section]) -> list[dict[str, str]]:
    """Alerts, the worst first; each has the anchor of the figure that shows it, or of the section without a figure."""
    figures = {figure.name for section in built for figure in section.figures}
    known = [*results.overview.alerts, *(results.changes.alerts if results.changes else ())]
    found = []
    for each in sorted(known, key=lambda each: _WORST[each.severity]):
        figure, section = _FIGURES[each.table]
        anchor = figure if figure in figures else section
        found.append(
            {
                "severity": each.severity,
                "title": each.title,
                "sentence": each.sentence,
                "anchor": anchor,
                "within": section,
            }
        )
    return found


def _head(results: ArchiveResults, raised: int) -> dict[str, Any]:
    totals, archives = results.totals, results.overview.archives
    named = archives[0] if len(archives) == 1 else f"{len(archives)} archives"
    sentence = f"{totals['images']:,} images of {totals['patients']:,} patients in {totals['studies']:,} studies."
    pictures = totals["images_with_picture"]
    second = "No picture was read; this page shows what headers and tables say."
    if pictures:
        share = "Each" if pictures == totals["images"] else f"{pictures:,} of them"
        second = f"{share} has a picture in the pixel store." if share == "Each" else f"{share} have a picture."
    facts = [("Images", totals["images"]), ("Studies", totals["studies"]), ("Patients", totals["patients"])]
    return {
        "title": f"What {named} holds – xray_mining" if len(archives) == 1 else f"What {named} hold – xray_mining",
        "menu": "At a glance",
        "eyebrow": "Archive report",
        "heading": f"What the archive {named} holds" if len(archives) == 1 else f"What {named} hold",
        "answers": [{"title": "", "sentences": (sentence, second) if totals["images"] else ("No images yet.",)}],
        "calm": "The queries of this page found no problem.",
        "alerts": f"{raised} {'alert' if raised == 1 else 'alerts'}",
        "alerted": "to check",
        "facts": [(name, f"{count:,}") for name, count in facts]
        + ([("Sites", f"{totals['institutions']:,}")] if totals["institutions"] else [])
        + ([("Archives", ", ".join(archives))] if len(archives) > 1 else []),
    }


def _pictures(workspace: Workspace, found: Overview) -> tuple[StratumPicture, ...]:
    if not found.has_pictures or found.shown.is_empty():
        return ()
    store = PixelStore.open(workspace)
    rows = found.shown.filter(store.has(found.shown["image_key"]))
    read = store.read(rows["image_key"])
    return tuple(
        StratumPicture(row["patient_sex"], row["age_from"], png(picture, SIDE_PX))
        for row, picture in zip(rows.iter_rows(named=True), read, strict=True)
    )


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
