"""Model card, methods and checklist say what the ledger knows, and leave open what it does not."""

from pathlib import Path

from xray_mining.reporting.documents import escaped
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
    assert rows["43"].cells[2].text == "open"


def test_a_statement_fills_its_item(example: Path) -> None:
    import dataclasses

    results = dataclasses.replace(Results.load(example), statements={"funding": "None."})
    rows = {row.cells[0].text: row for row in checklist.build(results).tables[0].rows}
    assert rows["43"].cells[3].text == "None."


def test_markdown_is_escaped() -> None:
    assert escaped("a|b <script>\n*c*") == r"a\|b \<script\> \*c\*"
