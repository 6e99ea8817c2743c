"""Model card, methods and checklist say what the ledger knows, and leave open what it does not."""

import dataclasses
from pathlib import Path

import polars as pl

from xray_mining.reporting.documents import escaped, model_card
from xray_mining.reporting.results import Results
from xray_mining.reporting.sections import checklist


def test_model_card_and_methods_lie_beside_the_page(page: Path) -> None:
    card = (page.with_suffix("") / "model_card.md").read_text(encoding="utf-8")
    methods = (page.with_suffix("") / "methods.md").read_text(encoding="utf-8")
    assert "(best on validation) | network |" in card
    assert "*not stated*" in card
    assert "**Reference standard.** *not stated*" in methods
    assert "<script>" not in card + methods


def test_checklist_holds_every_item_once_and_opens_what_only_people_know(example: Path) -> None:
    results = Results.load(example)
    assert [number for number, _, _ in checklist.ITEMS] == list(range(1, 45))
    rows = {row.cells[0].text: row for row in checklist.build(results).tables[0].rows}
    assert rows["20"].cells[2].text == "filled"
    assert rows["14"].cells[2].text == "open"
    assert rows["44"].cells[2].text == "open"
    # What was reached is not what was intended, nor are two sentences an abstract.
    assert [rows[number].cells[2].text for number in ("2", "21")] == ["in part", "in part"]
    assert "in part" in checklist.build(results).sentence
    for name in ("MAE", "rMAE", "Lower limit", "AUC", "Sensitivity", "Brier"):
        assert name in rows["28"].cells[3].text


def test_the_methods_named_are_those_of_the_figures(example: Path) -> None:
    results = Results.load(example)
    said = checklist.build(results).tables[0].rows[28].cells[3].text
    assert "BCa bootstrap over patients, DeLong (2000 bootstraps); p adjusted by Holm." in said
    audits = results.audits.with_columns(pl.lit("FAIR001").alias("code"))
    estimates = results.estimates.with_columns(pl.lit("paired, McNemar").alias("method"))
    results = dataclasses.replace(results, audits=audits, estimates=estimates)
    said = checklist.build(results).tables[0].rows[28].cells[3].text
    assert "McNemar" in said and "DeLong" not in said
    assert "by Holm, by Benjamini and Hochberg in FAIR001." in said


def test_failures_are_told_by_cases_only_where_one_is_shown(example: Path) -> None:
    results = Results.load(example)
    failures = checklist.build(results).tables[0].rows[38].cells
    assert (failures[2].text, failures[3].text) == ("filled", "See Cases and Subgroups.")
    averages = results.pictures.filter(pl.col("kind") != "case")
    assert averages.height
    failures = checklist.build(dataclasses.replace(results, pictures=averages)).tables[0].rows[38].cells
    assert failures[2].text == "in part" and "no single case is shown" in failures[3].text


def test_a_statement_fills_its_item(example: Path) -> None:
    results = dataclasses.replace(Results.load(example), statements={"funding": "None."})
    rows = {row.cells[0].text: row for row in checklist.build(results).tables[0].rows}
    assert rows["44"].cells[3].text == "None."


def test_markdown_is_escaped() -> None:
    assert escaped("a|b <script>\n*c*") == r"a\|b \<script\> \*c\*"


def test_a_check_made_for_one_target_is_not_called_undone_and_no_seed_is_a_dash(example: Path) -> None:
    results = Results.load(example)
    code = pl.col("code") == "NOISE001"
    made = results.check_results.filter(code).with_columns(outcome=pl.lit("passed"))
    results = dataclasses.replace(
        results,
        check_results=pl.concat([results.check_results, made]),
        experiments={
            name: dataclasses.replace(note, seeds=(-1,) if place else (0, 1))
            for place, (name, note) in enumerate(results.experiments.items())
        },
    )
    card = model_card(results)
    undone, partly = (
        next(line for line in card.splitlines() if line.startswith(words))
        for words in ("- Checks that could not run:", "- Checks that could run for some targets only:")
    )
    assert "SITE001" in undone and "NOISE001" not in undone
    assert "NOISE001" in partly
    assert "| 0, 1 |" in card and "| – |" in card and "| -1 |" not in card
