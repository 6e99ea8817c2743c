"""A cell becomes the value that it states, or none with a reason: never another value."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xray_mining.archive import cells

NUMBERS = {
    "European": (
        ["3,5", "1.299,99", "1.250", "0,143", "-2,25", "7", "1 250,5", "NA"],
        [3.5, 1299.99, 1250.0, 0.143, -2.25, 7.0, 1250.5, None],
    ),
    "English": (["3.5", "1,299.99", "1,250", ".5", "-2.25", "1'250.5"], [3.5, 1299.99, 1250.0, 0.5, -2.25, 1250.5]),
    "plain": (["1.250", "1e3", "2.", "+4", "\u22125", "61.0"], [1.25, 1000.0, 2.0, 4.0, -5.0, 61.0]),
    "mixed": (["3,5", "2.5", "1,250", "1.250"], [3.5, 2.5, "ambiguous_number", "ambiguous_number"]),
    "nothing tells": (["1,250", "3,500", "7"], ["ambiguous_number", "ambiguous_number", 7.0]),
    "words": (["yes", "No", "TRUE", "1", "0", "maybe", "nan"], [1.0, 0.0, 1.0, 1.0, 0.0, "not_a_number", None]),
    "words among numbers": (["yes", "3", "4", "5"], ["not_a_number", 3.0, 4.0, 5.0]),
    "words among bounds": (["yes", "<5", "1"], ["not_a_number", "bound", 1.0]),
    "odd": (
        ["<5", "> 90", "≤3", "3 mm", "3 cm", "1_0", "inf", "1e400", "٣", "1.2.3", "12,34,56", "--", "5-7"],
        ["bound", "bound", "bound", 3.0, "with_unit", "not_a_number", "not_a_number", "out_of_range"]
        + ["not_a_number"] * 5,
    ),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_are_read_by_their_column(case):
    texts, wanted = NUMBERS[case]
    style = cells.number_style(pl.Series(texts))
    read = [cells.read_number(text, style, "mm") for text in texts]
    assert [each.reason or each.value for each in read] == wanted


@given(st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 2)), min_size=1), st.booleans(), st.booleans())
def test_numbers_of_a_consistent_column_are_never_another(numbers, comma, thousands):
    """With two decimals each, as a program of one country writes them."""
    texts = [f"{number:,.2f}" if thousands else f"{number:.2f}" for number in numbers]
    if comma:
        texts = [text.translate(str.maketrans(",.", ".,")) for text in texts]
    style = cells.number_style(pl.Series(texts))
    assert [cells.read_number(text, style).value for text in texts] == numbers


DAY = date(2015, 5, 3)
DAYS = {
    "unambiguous": [
        *((text, DAY) for text in ("03.05.2015", "3.5.2015", "20150503.0", "20150503101112", "2015-5-3", "20150503")),
        *((text, DAY) for text in ("2015-05-03", "2015-05-03T10:11:12", "2015-05-03 00:00:00", "2015/05/03")),
        *((text, DAY) for text in ("3 Mai 2015", "May 3, 2015", "03-MAY-2015", "03.05.2015 10:11")),
        ("20150503101112.123456+0200", DAY),
    ],
    "day first": [("03/05/2015", DAY), ("13/05/2015", date(2015, 5, 13))],
    "month first": [("05/03/2015", DAY), ("05/13/2015", date(2015, 5, 13))],
    "month first with points": [("05.03.2015", DAY), ("05.13.2015", date(2015, 5, 13))],
    "nothing tells": [("03/05/2015", "ambiguous_date"), ("05-05-2015", date(2015, 5, 5))],
    "both": [
        ("13/05/2015", date(2015, 5, 13)),
        ("05/13/2015", date(2015, 5, 13)),
        ("03/05/2015", "ambiguous_date"),
        ("03.05.2015", "ambiguous_date"),
    ],
    "long ago and far away": [
        ("1899-05-03", date(1899, 5, 3)),
        ("18991231", "placeholder_date"),
        ("2208-01-01", date(2208, 1, 1)),
    ],
    "none": [
        ("unknown", "not_a_date"),
        ("42127", "not_a_date"),
        *((text, "partial_date") for text in ("2015", "2015-05", "201505", "05/2015")),
        *((text, "placeholder_date") for text in ("99991231", "1900-01-01", "0001-01-01")),
        *((text, "impossible_date") for text in ("2015-02-30", "20151301")),
        *((text, None) for text in ("N/A", None, "")),
    ],
}


@pytest.mark.parametrize("case", DAYS)
def test_days_are_read_by_their_column(case):
    texts, wanted = [text for text, _ in DAYS[case]], [day for _, day in DAYS[case]]
    style = cells.day_style(pl.Series(texts))
    read = [cells.read_day(text, style) for text in texts]
    assert [each.reason or each.value for each in read] == wanted


def test_a_stated_format_decides():
    for text, form in (("03/05/2015", "DD/MM/YYYY"), ("05/03/2015", "mm/dd/yyyy"), ("03052015", "DDMMYYYY")):
        style = cells.day_style(pl.Series([text]), form)
        assert cells.read_day(text, style).value == DAY, form
        assert cells.read_day("2015-05-03", style).value == DAY
    assert cells.order_of_format("DD.MM") is None
    assert cells.order_of_format("DD.DD.YYYY") is None


@given(st.dates(date(1800, 1, 2), date(2299, 12, 31)), st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%Y/%m/%d"]))
def test_a_written_day_is_never_another(day, form):
    read = cells.read_day(day.strftime(form) if day.year > 999 else "")
    assert read.value == day or read.reason == "placeholder_date"


@pytest.mark.parametrize("text", ["", " ", "NA", "na", "N/A", "nan", "NaN", "None", "NULL", "<NA>", "#N/A"])
def test_missing_is_neither_a_value_nor_unread(text):
    assert cells.stated(text) is None
    assert cells.read_number(text) == cells.Number()
    assert cells.read_day(text) == cells.Day()
    assert cells.age_text(text) is None


def test_ages_have_a_decimal_point():
    told = {
        "61,5": "61.5",
        "061Y": "061Y",
        "61,5 years": "61.5 years",
        "<5": "<5",
        "30,142857142857142": "30.142857142857142",
        "18,250": "18,250",  # may be thousands of days
    }
    assert {text: cells.age_text(text) for text in told} == told
