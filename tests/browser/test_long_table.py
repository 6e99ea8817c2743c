"""A long Table 1 of two targets in Chromium: its first rows, and the button that opens all of them."""

import shutil
from pathlib import Path

import pytest

from xray_mining.records.evaluation_tables import TableOne
from xray_mining.reporting.page import write
from xray_mining.reporting.sections.table_one import FIRST_ROWS

COHORT = "example-age"
YEARS = [str(year) for year in range(2001, 2015)]
COLUMNS = {"none": "finding", "effusion": "finding", "F": "patient_sex", "M": "patient_sex"}


@pytest.fixture(scope="module")
def page(example: Path, tmp_path_factory) -> Path:
    """In the place of the study's page: `open_page` opens this one."""
    folder = tmp_path_factory.mktemp("long") / "example"
    shutil.copytree(example, folder)
    rows = TableOne.read(folder / "table_one.parquet").to_dicts()
    sample = next(row for row in rows if row["cohort"] == COHORT and row["variable"] == "patient_sex")
    columns = list(dict.fromkeys((row["column"], row["column_order"]) for row in rows if row["cohort"] == COHORT))
    columns += [(name, 10 + place) for place, name in enumerate(COLUMNS)]
    for column, order in columns:
        for place, year in enumerate(YEARS):
            more = {"column": column, "column_order": order, "variable": "study_year", "variable_order": 5}
            more |= {"level": year, "level_order": place, "target": COLUMNS.get(column, "")}
            more |= {"standardised_difference": {"finding": 0.25, "patient_sex": 0.5}.get(COLUMNS.get(column))}
            rows.append(sample | more)
    TableOne.write(TableOne.from_rows(rows), folder / "table_one.parquet")
    target = folder.parent / "reports" / "example.html"
    write(folder, target)
    return target


@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_the_button_opens_all_rows_and_closes_them_again(open_page, width: int) -> None:
    tab, _, complaints = open_page(width)
    place = tab.locator(".table[data-first]", has_text=YEARS[0])
    rows = place.locator("tbody tr")
    count = rows.count()
    assert count > len(YEARS) > FIRST_ROWS

    def seen() -> int:
        return sum(rows.nth(at).is_visible() for at in range(count))

    assert seen() == FIRST_ROWS
    button = place.locator("button.more")
    assert button.inner_text() == f"Show all {count} rows"
    assert button.get_attribute("aria-expanded") == "false"
    button.click()
    assert seen() == count
    assert button.inner_text() == "Show fewer rows"
    assert button.get_attribute("aria-expanded") == "true"
    button.click()
    assert seen() == FIRST_ROWS
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []


def test_each_target_has_a_difference_of_its_own(open_page) -> None:
    tab, _, _ = open_page()
    place = tab.locator(".table[data-first]", has_text=YEARS[0])
    heads = place.locator("thead th, thead td").all_inner_texts()
    assert [head.strip().upper() for head in heads[-2:]] == ["SMD, FINDING", "SMD, SEX"]
    line = place.locator("tbody tr", has_text=YEARS[0]).locator("th, td").all_text_contents()
    assert line[-2:] == ["0.25", "0.50"]
