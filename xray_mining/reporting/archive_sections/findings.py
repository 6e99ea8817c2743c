"""Labels, groups and numbers of the images, from the archive's own tables and from linked tables."""

from collections.abc import Iterable, Mapping
from typing import Any

from xray_mining.reporting.archive_results import ArchiveResults, hidden_note_of, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.metrics import number
from xray_mining.reporting.section import HIDDEN, Block, Cell, Column, Figures, Row, Section, Table

ORDER = 17
Finding = tuple[str, str]
_ANSWERS = {"present": "Present", "absent": "Absent", "uncertain": "Uncertain", "unknown": "Unknown"}
_UNKNOWN = "Patients of the source's archives for whom the source has no value."


def applies(results: ArchiveResults) -> bool:
    """Always: the reader must also know that there are no labels."""
    return True


def build(results: ArchiveResults) -> Section:
    """A table of labels (present or absent), a table of groups, and a table of numbers."""
    frame, title = results.table("findings"), "Labels and linked tables"
    if frame.is_empty():
        return Section(
            "findings",
            title,
            "These images have no labels: the archive has none, and no table was linked (xray-mining link).",
        )
    # Labels, groups and numbers have different columns, so each kind has a table; a finding is a row of it.
    kinds: dict[str, dict[Finding, dict[str, Mapping[str, Any]]]] = {"label": {}, "group": {}, "number": {}}
    for row in frame.iter_rows(named=True):
        kinds[row["kind"]].setdefault((row["source"], row["name"]), {})[row["answer"]] = row

    def note(kind: str) -> str:
        return hidden_note_of(results) if frame.filter(kind=kind)["few"].any() else ""

    blocks: list[Block] = []
    if kinds["label"]:
        counts: list[tuple[str, float | None]] = [
            (_words(finding), answers["present"]["patients"] if "present" in answers else 0.0)
            for finding, answers in kinds["label"].items()
        ]
        counts.sort(key=lambda each: (each[1] is None, -(each[1] or 0), each[0]))
        figure = bars(
            "archive-findings-figure",
            counts,
            label="patients",
            caption="Number of patients with each label.",
            alternative=f"Number of patients with each label: {said(counts)}.",
        )
        blocks += [Figures((figure,)), _labels(kinds["label"], note("label"))]
    if kinds["group"]:
        blocks.append(_groups(kinds["group"], results.overview.least_patients, note("group")))
    if kinds["number"]:
        blocks.append(_numbers(kinds["number"], note("number")))
    every, listed = int(frame["findings"][0]), sum(len(found) for found in kinds.values())
    sources = sorted(frame["source"].unique())
    cut = f" The {listed} findings with most patients are listed." if every > listed else ""
    return Section(
        "findings",
        title,
        f"{every:,} {'finding' if every == 1 else 'findings'} from {', '.join(sources)}. A patient with several "
        f"images may have several values of a finding, and then counts for each.{cut}",
        tuple(blocks),
    )


def _words(finding: Finding) -> str:
    return finding[1].replace("_", " ")


def _count(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell("0", value=0.0)
    if row["patients"] is None:
        return HIDDEN
    images = f"{row['images']:,} images" if row["images"] else ""
    return Cell(number(row["patients"], 0), images, float(row["patients"]))


def _labels(found: Mapping[Finding, Mapping[str, Mapping[str, Any]]], note: str) -> Table:
    rows = [
        Row((Cell(_words(finding)), Cell(finding[0]), *(_count(answers.get(answer)) for answer in _ANSWERS)))
        for finding, answers in found.items()
    ]
    heads = [Column("Label"), Column("Source")]
    heads += [
        Column(words, numeric=True, explanation=_UNKNOWN if answer == "unknown" else "")
        for answer, words in _ANSWERS.items()
    ]
    return Table("archive-findings-labels", "Labels: number of patients", tuple(heads), tuple(rows), note)


def _groups(found: Mapping[Finding, Mapping[str, Mapping[str, Any]]], least: int, note: str) -> Table:
    rows = [
        Row((Cell(_words(finding)), Cell(finding[0]), Cell(answer), _count(row)))
        for finding, answers in found.items()
        for answer, row in _unknown_last(answers)
    ]
    heads = (Column("Group"), Column("Source"), Column("Value"), Column("Patients", numeric=True))
    said = (
        f"Groups of fewer than {least} patients are not listed, nor groups from which such a number could be computed."
    )
    return Table("archive-findings-groups", "Groups: number of patients", heads, tuple(rows), f"{said} {note}".strip())


def _unknown_last(answers: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    return sorted(answers.items(), key=lambda each: (each[0] == "unknown", each[0]))


def _numbers(found: Mapping[Finding, Mapping[str, Mapping[str, Any]]], note: str) -> Table:
    rows = [
        Row(
            (
                Cell(_words(finding)),
                Cell(finding[0]),
                Cell(str(next(iter(answers.values()))["unit"]) or "–"),
                _count(answers.get("known")),
                _count(answers.get("unknown")),
            )
        )
        for finding, answers in found.items()
    ]
    heads = (
        Column("Number"),
        Column("Source"),
        Column("Unit"),
        Column("Known", numeric=True),
        Column("Unknown", numeric=True, explanation=_UNKNOWN),
    )
    return Table("archive-findings-numbers", "Numbers: patients with a known value", heads, tuple(rows), note)
