"""The page from the frozen example: every number, every section, nothing foreign, everything escaped."""

import dataclasses
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import html5lib
import polars as pl
import pytest

from xray_mining.reporting.page import alerts, build, section_modules
from xray_mining.reporting.results import Results
from xray_mining.reporting.section import (
    Column,
    Figures,
    Folded,
    Gallery,
    Points,
    Section,
    Table,
    Text,
    refuse_doubles,
)
from xray_mining.reporting.sections.comparison import adjusted_words

GOLDEN = Path(__file__).with_name("golden_page.json")
VOID = {"meta", "link", "br", "img", "input", "hr", "path", "rect", "use"}


class Outline(HTMLParser):
    """Tags, ids, headings and links of a page; complains where a tag is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.ids, self.headings, self.links, self.images = [], [], [], [], []
        self.regions, self.tags = 0, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "href" in found:
            self.links.append(found["href"])
        if tag == "img":
            self.images.append(found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}> at {self.getpos()}"
        self.open.pop()


def said(section: Section) -> dict:
    """Everything a section says, without its drawings' coordinates."""
    return {
        "anchor": section.anchor,
        "title": section.title,
        "sentence": section.sentence,
        "tables": {
            table.name: {
                "caption": table.caption,
                "note": table.note,
                "head": [column.title for column in table.columns],
                "rows": [[f"{cell.text} | {cell.detail}".rstrip("| ") for cell in row.cells] for row in table.rows],
            }
            for table in section.tables
        },
        "figures": {figure.name: [figure.caption, figure.alternative] for figure in section.figures},
        "pictures": [
            [block.caption, *(picture.caption for picture in block.pictures)]
            for block in section.everything()
            if isinstance(block, Gallery)
        ],
        "texts": [
            text
            for block in section.everything()
            if isinstance(block, Text | Points)
            for text in (block.points if isinstance(block, Points) else (block.text,))
        ],
    }


def test_the_page_says_what_it_said(sections: list[Section]) -> None:
    found = [said(section) for section in sections]
    if os.environ.get("XRAY_MINING_OVERWRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    # A section that is new needs nothing here: its words are held fast once the golden file is written anew.
    held = {each["anchor"]: each for each in golden}
    hint = "wanted? then XRAY_MINING_OVERWRITE_GOLDEN=1 python -m pytest tests/reporting/test_page.py writes it anew"
    assert [each["anchor"] for each in found if each["anchor"] in held] == list(held), hint
    for ours in found:
        assert ours == held.get(ours["anchor"], ours), f"{ours['anchor']}: {hint}"


def test_every_number_of_the_sections_stands_on_the_page(sections: list[Section], page: Path) -> None:
    from html import unescape

    words = unescape(re.sub(r"<[^>]*>", " ", page.read_text(encoding="utf-8")))
    for section in sections:
        for table in section.tables:
            for row in table.rows:
                for cell in row.cells:
                    assert cell.text in words
                    assert cell.detail in words


def test_html_is_well_formed_and_ids_are_unique(page: Path) -> None:
    outline = Outline(page.read_text(encoding="utf-8"))
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    anchors = {link[1:] for link in outline.links if link.startswith("#")}
    assert anchors <= set(outline.ids)
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
    assert all(image["alt"] for image in outline.images)


def test_nothing_foreign_is_asked_for(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    foreign = set(re.findall(r"""(?:https?:)?//[\w.-]+\.\w+[^\s"'<)]*""", text))
    assert {each for each in foreign if "www.w3.org" not in each} == set()
    outline = Outline(text)
    assert all(link.startswith(("#", "data:")) for link in outline.links)
    assert "link" not in outline.tags
    assert page.stat().st_size < 8e6


def test_a_maker_named_script_is_escaped_everywhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert text.count("<script") == 1
    assert "Acme &lt;script&gt;alert(1)&lt;/script&gt; &amp; Sons" in text
    for figure in (page.with_suffix("") / "figures").glob("*.svg"):
        assert "<script" not in figure.read_text(encoding="utf-8")


def test_every_table_and_figure_lies_beside(sections: list[Section], page: Path) -> None:
    beside = page.with_suffix("")
    tables = {table.name for section in sections for table in section.tables}
    figures = {figure.name for section in sections for figure in section.figures}
    figures |= {"forest-example-age-age-years", "forest-example-g2-vs-g3-group"}  # above the sections
    assert {path.stem for path in (beside / "tables").glob("*.csv")} == tables
    assert {path.stem for path in (beside / "figures").glob("*.svg")} == figures
    head = (beside / "tables" / "comparison-example-age-age-years.csv").read_text(encoding="utf-8").splitlines()[0]
    assert head.startswith('Model,"MAE, years","MAE, years low","MAE, years high"')


def test_figures_are_whole_xml_without_style_variables(page: Path) -> None:
    from xml.etree import ElementTree

    for path in (page.with_suffix("") / "figures").glob("*.svg"):
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert root.get("aria-label")
        assert "var(" not in path.read_text(encoding="utf-8")


def test_the_same_tables_give_the_same_bytes(example: Path, page: Path, tmp_path: Path) -> None:
    from xray_mining.reporting.page import write

    write(example, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_every_section_keeps_the_contract(sections: list[Section], example: Path) -> None:
    results = Results.load(example)
    modules = [module for module in section_modules() if module.applies(results)]
    assert len(sections) == len(modules)
    for module, section in zip(modules, sections, strict=True):
        assert isinstance(module.ORDER, int)
        assert module.applies(results) is True
        assert re.fullmatch(r"[a-z][a-z0-9-]*", section.anchor)
        assert section.sentence.endswith(".")


def test_the_page_is_valid_html(page):
    text = page.read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(text)
    assert not re.findall(r"<path(?![^>]* d=)[^>]*>", text)
    identities = re.findall(r' id="([^"]+)"', text)
    assert len(identities) == len(set(identities))


def test_the_note_on_adjusted_p_values_names_the_families_by_what_they_are():
    """Not by their size: with few models and five nulls the nulls' family is the larger one."""

    def pairs(*families: str) -> pl.DataFrame:
        rows = [(f"model {place}", "ridge", 0.1, 0.2, family) for place, family in enumerate(families)]
        return pl.DataFrame(rows, schema=["experiment", "baseline", "p_value", "p_adjusted", "family"], orient="row")

    main, nulls = "here: mae, all comparisons", "here: mae, other nulls"
    assert adjusted_words(pairs(main, main, *[nulls] * 4)).startswith(
        "p values are adjusted for 2 comparisons, those of null models other than the best separately, for 4"
    )
    assert adjusted_words(pairs(*[main] * 4, nulls)).startswith(
        "p values are adjusted for 4 comparisons, those of null models other than the best separately, for 1"
    )
    assert adjusted_words(pairs(nulls, nulls)).startswith("p values are adjusted for 2 comparisons, all of null models")
    readers = "here: mae, comparisons with readers"
    assert adjusted_words(pairs(main, nulls, readers, readers)) == (
        "p values are adjusted for 1 comparison, those of null models other than the best separately, for 1, those of "
        "second readers separately, for 2 (Holm)."
    )
    assert "all with second readers" in adjusted_words(pairs(readers, readers))
    assert adjusted_words(pairs(main)) == "There is only one comparison, so p is not adjusted."


def test_a_table_that_is_named_like_a_section_is_refused_when_it_is_built():
    table = Table("age", "Ages", (Column("Age"),), ())
    with pytest.raises(ValueError, match=r"table age of section age has the same name as section age; rename it"):
        Section("age", "Age", "How old.", (table,))
    with pytest.raises(ValueError, match="table age of section other has the same name as section age"):
        refuse_doubles([Section("age", "Age", "How old."), Section("other", "Other", "More.", (table,))])


def test_all_models_stand_right_below_the_answers_and_failed_checks_are_named_there(example: Path, page: Path):
    text = page.read_text(encoding="utf-8")
    places = [text.index(each) for each in ('class="answer"', 'id="forest-example-age-age-years"', 'class="alerts"')]
    assert places == sorted(places) and text.count('id="forest-example-age-age-years"') == 1
    checks = Results.load(example).check_results
    failed = checks.filter(outcome="failed")["code"].unique().sort().to_list()
    assert failed and f"affects this answer: {', '.join(failed)}." in text, (
        "the example's checks are about the whole study"
    )


def test_a_check_is_shown_without_the_name_of_what_it_is_about(example: Path):
    results = Results.load(example)
    row = results.check_results.row(0, named=True) | {"code": "SHORT002", "outcome": "failed"}
    row |= {"about": "age_convnext", "sentence": "age_convnext: sharpened, the MAE is 1 year above."}
    told = dataclasses.replace(results, check_results=pl.DataFrame([row], schema=results.check_results.schema))
    (alert,) = alerts(told, build(told))
    assert (alert["about"], alert["sentence"]) == ("age convnext", "Sharpened, the MAE is 1 year above.")
    (section,) = (each for each in build(told) if each.anchor == "audits")
    assert section.tables[0].rows[0].cells[3].text == "Sharpened, the MAE is 1 year above."
    assert results.about_words("example-age/age_years") == "Age" and results.about_words("") == ""


def test_flows_stand_side_by_side_and_folded(sections: list[Section]):
    flow = next(each for each in sections if each.anchor == "flow")
    (folded,) = (block for block in flow.blocks if isinstance(block, Folded))
    (figures,) = folded.blocks
    assert [each.name for each in figures.figures] == ["flow-example-age", "flow-example-g2-vs-g3"]
    (people,) = (block for block in flow.blocks if isinstance(block, Figures))
    assert "pattern" in people.figures[0].svg and "70 to 79: hidden and hidden" in people.figures[0].alternative
