"""All checks with their results, including checks that could not run: without a row they would seem to have passed."""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from xray_mining.records.check_results import words
from xray_mining.reporting.metrics import known_metric, number, p_value
from xray_mining.reporting.results import Results
from xray_mining.reporting.section import HIDDEN, Block, Cell, Code, Column, Row, Section, Table, Text

ORDER = 90
LISTED = ("NOISE001",)
"""Checks that list single radiographs for review and cannot fail."""
_OUTCOMES = {
    "failed": ("failed", "failed"),
    "passed": ("passed", "passed"),
    "not_applicable": ("not applicable", "quiet"),
    "skipped": ("skipped", "quiet"),
}
_METRICS = {
    "auc_above_half": "AUC above 0.5",
    "mae_gained": "MAE below guessing the centre",
    "error_per_year": "error per year",
}
"""Names of figures of the audits that are not readable after replacing underscores."""


def _metric_words(name: str) -> str:
    base = name.removesuffix("_lost")
    metric = known_metric(base)
    if name in _METRICS or metric is None:
        return _METRICS.get(name, name.replace("_", " "))
    return metric.title + (" lost" if base != name else "")


def applies(results: Results) -> bool:
    """Always."""
    return True


def build(results: Results) -> Section:
    """All checks with their outcome, the evidence of failed checks, and the figures of the audits."""
    frame = results.check_results
    if frame.is_empty():
        return Section("audits", "Audits", "No check was run for this study, so leaks and shortcuts are possible.")
    order = {name: place for place, name in enumerate(_OUTCOMES)}
    found = sorted(frame.iter_rows(named=True), key=lambda row: (order[row["outcome"]], row["code"], row["sentence"]))
    rows = []
    for row in found:
        outcome, mark = _OUTCOMES[row["outcome"]]
        rows.append(
            Row(
                (
                    Cell(row["code"]),
                    Cell(outcome, row["severity"] if row["outcome"] == "failed" else "", mark=mark),
                    Cell(row["title"]),
                    Cell(words(row), results.about_words(row["about"])),
                )
            )
        )
    counts = [sum(row["outcome"] == outcome for row in found) for outcome in _OUTCOMES]
    said = [f"{count} {_OUTCOMES[name][0]}" for name, count in zip(_OUTCOMES, counts, strict=True) if count]
    blocks: list[Block] = [
        Table(
            "audits-checks",
            f"{len(rows)} checks: {', '.join(said)}",
            (Column("Code"), Column("Outcome"), Column("Check"), Column("What was found")),
            tuple(rows),
        )
    ]
    for row in found:
        # Evidence of failed checks is shown; checks in LISTED never fail, so their evidence is shown if they passed.
        wanted = row["outcome"] == "failed" or (row["outcome"] == "passed" and row["code"] in LISTED)
        evidence = _evidence(row["evidence"]) if wanted else ""
        if not evidence:
            continue
        if row["code"] in LISTED and not results.notes.show_unexamined:
            blocks.append(Text(_command(row), "quiet"))
            continue
        title = f"Evidence of {row['code']}: {row['title']} ({row['offenders'] or 'first rows'})"
        blocks.append(Code(title, evidence))
    blocks += _figures(results)
    return Section(
        "audits",
        "Audits",
        "A good score can come from a leak or a shortcut. These checks look for both; checks that could not run are "
        "listed too.",
        tuple(blocks),
    )


def _command(row: Mapping[str, Any]) -> str:
    return (
        f"{row['code']} lists radiographs of single patients by their keys. The page has these keys only if the study "
        f"file says show_unexamined: true. In the workspace this command prints the first of {row['offenders']}: "
        f"xray-mining sql \"select subject, sentence, evidence from check_results where code = '{row['code']}'\" "
        f"--format json"
    )


def _evidence(text: str) -> str:
    try:
        rows = json.loads(text or "[]")
    except ValueError:
        return text
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) if rows else ""


def _figures(results: Results) -> list[Block]:
    """A table for each family of audits that has figures."""
    blocks: list[Block] = []
    for family in results.audits.sort("code", maintain_order=True)["audit"].unique(maintain_order=True):
        rows = []
        for row in results.audits.filter(pl.col("audit") == family).iter_rows(named=True):
            ends = (
                f"{number(row['low'])} to {number(row['high'])}"
                if row["low"] is not None and row["high"] is not None
                else ""
            )
            # The audit judges by the adjusted p, so the table shows this one.
            adjusted = row["p_adjusted"] if row["p_adjusted"] is not None else row["p_value"]
            value = Cell(number(row["value"]), ends, row["value"], row["low"], row["high"])
            named = results.experiment_words(row["attribute"])
            what = ": ".join(each for each in (named, row["label"]) if each)
            rows.append(
                Row(
                    (
                        Cell(what, row["code"]),
                        Cell(results.experiment_words(row["experiment"]), row["target"].replace("_", " ")),
                        Cell(_metric_words(row["metric"])),
                        value,
                        Cell(f"{row['patients']:,}", value=row["patients"]) if row["patients"] else HIDDEN,
                        p_value(adjusted),
                        Cell(row["words"]),
                    )
                )
            )
        blocks.append(
            Table(
                f"audit-{family.replace('_', '-')}",
                f"Figures of the audits: {family.replace('_', ' ')}",
                (
                    Column("What"),
                    Column("Model"),
                    Column("Metric"),
                    Column("Value", numeric=True),
                    Column("Patients", numeric=True),
                    Column("p", numeric=True, explanation="Adjusted within the audit."),
                    Column("In words"),
                ),
                tuple(rows),
            )
        )
    return blocks
