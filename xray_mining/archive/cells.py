"""One cell of a table → a number, a day or a text; a stated cell that can be read as none of these gets a reason.

The meaning of a cell can depend on its column: 1,250 is a decimal beside 3,5 and 0,75, but thousands beside 2.5 and
1,250.75.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import polars as pl

# Columns are examined in pieces: all cells of a long column would take hundreds of megabytes in each process.
_CELLS_AT_ONCE = 50_000
_MISSING = frozenset(("", "na", "n/a", "nan", "none", "null", "nat", "<na>", "#n/a", "#na", "n.a.", "nil", "missing"))
_TRUTHS = {
    **dict.fromkeys(("yes", "true", "y", "t", "ja", "oui", "si", "sí", "wahr"), 1.0),
    **dict.fromkeys(("no", "false", "n", "f", "nein", "non", "falsch"), 0.0),
}

# Usual ways to write numbers; a single mark before a group of three digits may be a decimal or a thousands mark.
_SIGN = r"[+-]?"
_PLAIN = re.compile(rf"{_SIGN}(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{{1,3}})?")
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2}([.,])[0-9]{3}")
_BY_COMMA = re.compile(rf"{_SIGN}(?:[0-9]{{1,3}}(?:\.[0-9]{{3}})+|[0-9]*),[0-9]+(?:[eE][+-]?[0-9]{{1,3}})?")
_THOUSANDS_BY_COMMA = re.compile(rf"{_SIGN}[1-9][0-9]{{0,2}}(?:,[0-9]{{3}})+(?:\.[0-9]+)?")
_THOUSANDS_BY_DOT = re.compile(rf"{_SIGN}[1-9][0-9]{{0,2}}(?:\.[0-9]{{3}}){{2,}}")
_SPACED = re.compile(r"(?<=[0-9])[ '’\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))")
_BOUND = re.compile(r"(?:[<>≤≥]=?|=[<>])\s*(?=[0-9.,])")
_WITH_UNIT = re.compile(r"([+-]?[0-9][0-9.,]*)\s*((?:[^\W\d_]|[%‰°/]).*)")
# The same for whole columns: cells that show how the owner writes decimals.
_SHOWS_COMMA = (
    r"^[+-]?(?:[0-9]*,(?:[0-9]{1,2}|[0-9]{4,})|0*,[0-9]+|[0-9]{4,},[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+"
    r"|[0-9]{1,3}(?:\.[0-9]{3}){2,})$"
)
_SHOWS_DOT = (
    r"^[+-]?(?:[0-9]*\.(?:[0-9]{1,2}|[0-9]{4,})|0*\.[0-9]+|[0-9]{4,}\.[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+"
    r"|[0-9]{1,3}(?:,[0-9]{3}){2,})$"
)
_SHOWS_NO_TRUTH = r"^(?:[<>≤≥=]{0,2}\s*[+-]?[0-9.,]+.*)$"
_ZERO_OR_ONE = r"^[01](?:[.,]0*)?$"


@dataclass(frozen=True, slots=True)
class Number:
    """A number, or the reason why the cell could not be read; neither for a missing cell."""

    value: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """A day, or the reason why the cell could not be read; neither for a missing cell."""

    value: date | None = None
    reason: str = ""

    @property
    def text(self) -> str | None:
        """In ISO 8601."""
        return self.value.isoformat() if self.value is not None else None


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How the cells of a column write numbers."""

    comma: bool = False
    """Some cells can only be read with a decimal comma."""
    dot: bool = False
    """Some cells can only be read with a decimal point."""
    truths: bool = False
    """The column has no other numbers than 0 and 1, so that yes and no are read as numbers too."""


@dataclass(frozen=True, slots=True)
class DayStyle:
    """How the cells of a column write days."""

    order: str = ""
    """'dmy' or 'mdy' for 03/05/2015; empty if unknown."""


def stated(cell: str | None) -> str | None:
    """The cell; None if it is empty or a word for missing (NA, nan, None, N/A, …)."""
    return None if cell is None or cell.strip().lower() in _MISSING else cell


def numbers_for_texts(values: Mapping[str, float]) -> dict[str, float]:
    """The numbers that a mapping gives to texts, by the text in small letters.

    Raises ValueError if texts that differ only in capitals have two numbers.
    """
    found: dict[str, float] = {}
    for text, number in values.items():
        if found.setdefault(text.strip().casefold(), number) != number:
            raise ValueError(f"'{text}' has two numbers, and capitals make no difference; keep one")
    return found


def number_style(column: pl.Series) -> NumberStyle:
    """How a text column writes its numbers, from the cells of the column."""
    comma, dot, truths = False, False, True
    for part in column.to_frame().iter_slices(_CELLS_AT_ONCE):
        cells = part.to_series().drop_nulls().str.strip_chars()
        numbers = cells.filter(cells.str.contains(_SHOWS_NO_TRUTH))
        comma = comma or bool(numbers.str.contains(_SHOWS_COMMA).any())
        dot = dot or bool(numbers.str.contains(_SHOWS_DOT).any())
        truths = truths and bool(numbers.str.contains(_ZERO_OR_ONE).all())
    return NumberStyle(comma, dot, truths)


def read_number(cell: str | None, style: NumberStyle = NumberStyle(), unit: str = "") -> Number:
    """The number in a cell.

    Args:
        cell: The original text.
        style: How its column writes numbers.
        unit: The column's unit, which a cell may repeat.
    """
    text = stated(cell)
    return Number() if text is None else _read_number(text.strip(), style, unit)


@lru_cache(65536)
def _read_number(text: str, style: NumberStyle, unit: str) -> Number:
    if style.truths and text.lower() in _TRUTHS:
        return Number(_TRUTHS[text.lower()])
    text = _SPACED.sub("", text.replace("\u2212", "-"))
    if _BOUND.match(text):
        return Number(reason="bound")
    if (found := _WITH_UNIT.fullmatch(text)) and not _PLAIN.fullmatch(text) and not _BY_COMMA.fullmatch(text):
        inner = _read_plain(found[1], style)
        if inner.value is not None and found[2].strip().casefold() == unit.strip().casefold():
            return inner
        return Number(reason="with_unit" if inner.value is not None else "not_a_number")
    return _read_plain(text, style)


def _read_plain(text: str, style: NumberStyle) -> Number:
    if either := _EITHER.fullmatch(text):
        by_comma, by_dot = style.comma and not style.dot, style.dot and not style.comma
        if either[1] == "," and not (by_comma or by_dot):
            return Number(reason="ambiguous_number")
        if either[1] == "." and style.comma and style.dot:
            return Number(reason="ambiguous_number")
        decimal = "," if by_comma else "."
        other = "." if decimal == "," else ","
        return _finite(text.replace(other, "").replace(decimal, "."))
    if _PLAIN.fullmatch(text):
        return _finite(text)
    if _THOUSANDS_BY_COMMA.fullmatch(text):
        return _finite(text.replace(",", ""))
    if _THOUSANDS_BY_DOT.fullmatch(text):
        return _finite(text.replace(".", ""))
    if _BY_COMMA.fullmatch(text):
        return _finite(text.replace(".", "").replace(",", "."))
    return Number(reason="not_a_number")


def _finite(text: str) -> Number:
    value = float(text)
    return Number(value) if abs(value) < 1e300 else Number(reason="out_of_range")


# Days, also with a time of day after them.
_TIME = r"(?:[T ]\s*[0-9]{1,2}(?::[0-9]{2}.*|\s*[ap]\.?m\.?)?|[T ]\s*[0-9]{1,2}:[0-9]{2}.*)?"
_DICOM = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})(?:\.0+|(?:[0-9]{2}){1,3}(?:\.[0-9]{1,6})?(?:[+-][0-9]{4})?|T[0-9:.]+.*)?"
)
_YEAR_FIRST = re.compile(rf"([0-9]{{4}})([-./])([0-9]{{1,2}})\2([0-9]{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"([0-9]{{1,2}})\s*([-./])\s*([0-9]{{1,2}})\s*\2\s*([0-9]{{4}}){_TIME}")
_DAY_WORD_YEAR = re.compile(rf"([0-9]{{1,2}})(?:st|nd|rd|th)?[ .\-/]*([^\W\d_]+)[ .,\-/]*([0-9]{{4}}){_TIME}", re.I)
_WORD_DAY_YEAR = re.compile(rf"([^\W\d_]+)[ .\-/]*([0-9]{{1,2}})(?:st|nd|rd|th)?[ .,\-/]+([0-9]{{4}}){_TIME}", re.I)
_TWO_AND_YEAR = r"^([0-9]{1,2})\s*[-./]\s*([0-9]{1,2})\s*[-./]\s*[0-9]{4}"
_PARTIAL = re.compile(r"[0-9]{4}(?:\.0)?|[0-9]{4}[-./][0-9]{1,2}|[0-9]{1,2}[-./][0-9]{4}|[0-9]{6}")
_MONTHS = {
    word: number
    for number, words in enumerate(
        (
            "jan january januar janvier",
            "feb february februar février",
            "mar march mär märz maerz mars mrz",
            "apr april avril",
            "may mai",
            "jun june juni juin",
            "jul july juli juillet",
            "aug august août",
            "sep sept september septembre",
            "oct okt october oktober octobre",
            "nov november novembre",
            "dec dez december dezember décembre",
        ),
        start=1,
    )
    for word in words.split()
}
EARLIEST, LATEST = date(1800, 1, 1), date(2300, 1, 1)
"""Days outside are placeholders or typing errors; data sets with shifted dates reach about 2215."""
PLACEHOLDERS = frozenset((EARLIEST, date(1899, 12, 30), date(1899, 12, 31), date(1900, 1, 1)))
"""Days that programs write for 'no date'."""
_FAR = (1, 1753, 2300, 2999, 9999)
FORMATS = ("DD.MM.YYYY", "MM/DD/YYYY", "YYYY-MM-DD")
_FORMAT = re.compile(r"(?=.*D)(?=.*M)(D{1,2}|M{1,2}|YYYY)[-./ ]?(D{1,2}|M{1,2}|YYYY)[-./ ]?(D{1,2}|M{1,2}|YYYY)")


def order_of_format(text: str) -> str | None:
    """'dmy', 'mdy', 'ymd', … of a format such as DD.MM.YYYY; None if it is not a format."""
    found = _FORMAT.fullmatch(text.upper())
    order = "".join(part[0].lower() for part in found.groups()) if found else ""
    return order if sorted(order) == ["d", "m", "y"] else None


def day_style(column: pl.Series, stated_format: str | None = None) -> DayStyle:
    """How a text column writes its days: by its owner's format, or by days after the twelfth."""
    if stated_format is not None:
        return DayStyle(order_of_format(stated_format) or "")
    day_first, month_first = False, False
    for part in column.to_frame().iter_slices(_CELLS_AT_ONCE):
        cells = part.to_series().drop_nulls().str.strip_chars()
        pairs = cells.str.extract_groups(_TWO_AND_YEAR).struct.unnest()
        first, second = (pairs[name].cast(pl.Int64, strict=False) for name in ("1", "2"))
        day_first = day_first or bool(((first > 12) & (second <= 12)).any())
        month_first = month_first or bool(((second > 12) & (first <= 12)).any())
    if day_first != month_first:
        return DayStyle("dmy" if day_first else "mdy")
    return DayStyle("both" if day_first else "")


def read_day(cell: str | None, style: DayStyle = DayStyle()) -> Day:
    """The day in a cell: in the forms of DICOM and ISO, with or without a time, or in the form of its column."""
    text = stated(cell)
    return Day() if text is None else _read_day(text.strip(), style)


@lru_cache(65536)
def _read_day(text: str, style: DayStyle) -> Day:
    if re.fullmatch(r"[0-9]{8}", text) and style.order in ("dmy", "mdy"):
        # The format is stated or known from other cells: 03052015 cannot be read year first, or can be read both ways.
        year_first = _day_of(int(text[:4]), int(text[4:6]), int(text[6:]))
        if year_first.value is None:
            return _by_order(int(text[:2]), int(text[2:4]), int(text[4:]), style.order)
    if found := _DICOM.fullmatch(text):
        return _day_of(int(found[1]), int(found[2]), int(found[3]))
    if found := _YEAR_FIRST.fullmatch(text):
        month, day = (4, 3) if style.order == "ydm" else (3, 4)
        return _day_of(int(found[1]), int(found[month]), int(found[day]))
    if found := _YEAR_LAST.fullmatch(text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        order = style.order
        if order not in ("dmy", "mdy"):
            if first > 12 or second > 12:
                order = "dmy" if first > 12 else "mdy"
            elif first == second:
                order = "dmy"
            elif found[2] == "." and order == "":
                # With points the day comes first, unless other cells of the column contradict.
                order = "dmy"
            else:
                return Day(reason="ambiguous_date")
        return _by_order(first, second, year, order)
    for pattern, day, word in ((_DAY_WORD_YEAR, 1, 2), (_WORD_DAY_YEAR, 2, 1)):
        if (found := pattern.fullmatch(text)) and found[word].casefold() in _MONTHS:
            return _day_of(int(found[3]), _MONTHS[found[word].casefold()], int(found[day]))
    return Day(reason="partial_date" if _PARTIAL.fullmatch(text) else "not_a_date")


def _by_order(first: int, second: int, year: int, order: str) -> Day:
    day, month = (first, second) if order == "dmy" else (second, first)
    return _day_of(year, month, day)


def _day_of(year: int, month: int, day: int) -> Day:
    try:
        found = date(year, month, day)
    except ValueError:
        return Day(reason="impossible_date")
    if found in PLACEHOLDERS or found.year in _FAR:
        return Day(reason="placeholder_date")
    return Day(found) if EARLIEST <= found < LATEST else Day(reason="impossible_date")


# Three digits after a comma may be thousands (of days), which a point would turn into years; such ages are not read.
_AGE_BY_COMMA = re.compile(r"([0-9]{1,3}),([0-9]{1,2}|[0-9]{4,})(?![0-9])")


def age_text(cell: str | None) -> str | None:
    """A stated age with a decimal point instead of a comma; None if missing."""
    text = stated(cell)
    return None if text is None else _AGE_BY_COMMA.sub(r"\1.\2", text)
