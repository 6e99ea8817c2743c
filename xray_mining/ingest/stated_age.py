"""An age as text → years: DICOM's AS, decimals, words, and bounds such as '>89' and '<5'."""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

OLDEST_YEARS = 120.0
TOPCODED_FROM_YEARS = 90
"""Ages from this number of full years on are set to it: '89 years and 4 months' is 89 in any form."""
# Tropical year; ages are differences of dates.
DAYS_A_YEAR = 365.2425

_UNITS = {"D": 1 / DAYS_A_YEAR, "W": 7 / DAYS_A_YEAR, "M": 1 / 12, "Y": 1.0}
_WORDS = {
    **dict.fromkeys(("D", "DAY", "DAYS", "TAG", "TAGE"), "D"),
    **dict.fromkeys(("W", "WK", "WKS", "WEEK", "WEEKS", "WOCHE", "WOCHEN"), "W"),
    **dict.fromkeys(("M", "MO", "MOS", "MTH", "MTHS", "MONTH", "MONTHS", "MONAT", "MONATE"), "M"),
    **dict.fromkeys(("Y", "YR", "YRS", "YEAR", "YEARS", "YO", "Y/O", "JAHR", "JAHRE"), "Y"),
    **dict.fromkeys(("YEAR OLD", "YEARS OLD", "YRS OLD"), "Y"),
}
# Largest number of a smaller unit after a larger one: '4 years 15 months' is an error or two ages, and is not read.
_AT_MOST = {"M": 12, "W": 53, "D": 366}
_UNIT = "|".join(re.escape(word) for word in sorted(_WORDS, key=len, reverse=True))
# Computed ages have as many decimals as a program prints: 30.142857142857142.
_NUMBER = r"\d{1,3}(?:\.\d+)?|\.\d+"
_PART = re.compile(rf"({_NUMBER})\s*({_UNIT})")
_PLAIN = re.compile(rf"({_NUMBER})(?:\s*({_UNIT}))?")
_SEVERAL = re.compile(rf"\d{{1,3}}\s*(?:{_UNIT})(?:(?:\s|,|AND|UND)*\d{{1,3}}\s*(?:{_UNIT}))+")
_AT_LEAST = (
    re.compile(rf"(?:>=|=>|>|≥|OVER|ABOVE|OLDER THAN|AT LEAST|ÜBER)\s*({_NUMBER})(?:\s*({_UNIT}))?()"),
    re.compile(rf"({_NUMBER})\s*(?:({_UNIT})\s*)?(?:\+|PLUS|(?:AND|OR) (?:OVER|ABOVE|OLDER))(?:\s*({_UNIT}))?"),
)
_BELOW = re.compile(rf"(?:<=|=<|<|≤|UNDER|BELOW|YOUNGER THAN|UP TO|UNTER)\s*({_NUMBER})(?:\s*({_UNIT}))?")
_RANGE = re.compile(rf"(\d{{1,3}})\s*(?:-|–|TO|BIS)\s*(\d{{1,3}})(?:\s*({_UNIT}))?")


@dataclass(frozen=True, slots=True)
class StatedAge:
    """Meaning of an age text; years None and not bounded if it states no age of a person."""

    years: float | None = None
    bounded: bool = False
    """The text gives a bound only; years is TOPCODED_FROM_YEARS if the bound marks the oldest patients, else None."""


_NO_AGE = StatedAge()
_BOUND = StatedAge(bounded=True)
_OLDEST = StatedAge(float(TOPCODED_FROM_YEARS), bounded=True)


@lru_cache(4096)
def read_age(text: str) -> StatedAge:
    """Days, weeks, months or years, alone or together ('4 years 3 months'); a number without a unit is years.

    '>89', '89+', '≥90', '90 and over' and the like are top-coded ages and are read as TOPCODED_FROM_YEARS. Any other
    bound or range is reported as a bound, not as an invalid age.
    """
    text = " ".join(text.upper().split())
    if found := _PLAIN.fullmatch(text):
        years = _years(found[1], found[2])
        return StatedAge(years) if years <= OLDEST_YEARS else _NO_AGE
    if _SEVERAL.fullmatch(text):
        return _together(text)
    for form in _AT_LEAST:
        if found := form.fullmatch(text):
            years = _years(found[1], found[2] or found[3])
            if years > OLDEST_YEARS:
                return _NO_AGE
            return _OLDEST if years >= TOPCODED_FROM_YEARS - 1 else _BOUND
    if found := _BELOW.fullmatch(text):
        return _BOUND if _years(found[1], found[2]) <= OLDEST_YEARS else _NO_AGE
    if found := _RANGE.fullmatch(text):
        low, high = (_years(each, found[3]) for each in (found[1], found[2]))
        return _BOUND if low < high <= OLDEST_YEARS else _NO_AGE
    return _NO_AGE


def _years(number: str, unit: str | None) -> float:
    return float(number) * _UNITS[_WORDS[unit or "Y"]]


def _together(text: str) -> StatedAge:
    parts = [(float(number), _WORDS[unit]) for number, unit in _PART.findall(text)]
    sizes = [_UNITS[unit] for _, unit in parts]
    falling = all(a > b for a, b in pairwise(sizes))
    if not falling or any(number >= _AT_MOST[unit] for number, unit in parts[1:]):
        return _NO_AGE
    years = sum(number * _UNITS[unit] for number, unit in parts)
    return StatedAge(years) if years <= OLDEST_YEARS else _NO_AGE
