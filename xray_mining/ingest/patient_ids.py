"""Patient ids as text: which are placeholders, and which may be one person's id in another spelling.

Different spellings are never joined by a guess: keys are made from ids as written, changed only by the owner's rules.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from xray_mining.errors import UserError, unknown_name

_ENDS = " \0\t\r\n"
# What software and people write if there is no id, as letters and digits only, with words before and after it.
_PLACEHOLDER = re.compile(
    r"(?:(?:my)?(?:patients?|pat|subject|person|case|id|the)*)"
    r"(?:anon(?:[yi]m(?:ous|us|e|isch|i[sz]iert|[oa]|i[sz]ed?|i[sz]ado|izzato)?)?|de(?:identified|personali[sz]ed)"
    r"|unknown|unbekannt|inconnue?|desconocid[oa]|sconosciut[oa]|unidentified|unnamed|unspecified|undefined|unassigned"
    r"|(?:no|not|non|without|ohne|sans|sin)(?:name|number|available|applicable|known|given|stated|specified|assigned"
    r"|entered|provided|recorded)?|none|null|nil|nan|na|missing|removed|redacted|deleted|hidden|masked|confidential"
    r"|default|dummy|blank|empty|leer|test(?:ing)?|x+|匿名|不明|無名|无名)"
    r"(?:patient(?:en)?|pat|id|s|subject|person|name|number|nr|no)*"
)
_PLAIN = re.compile(r"(?:patient|pat|subject|person|id|patientid|patientnumber|pid|mrn|name|patientname)")
_WHOLE = re.compile(r"(\d+)[.,]0+")
_ZERO = re.compile(r"(0+)([.,]0+)?")
_LEADING = re.compile(r"^0+(?=.)")


def _one_form(text: str) -> str:
    """Text in a normal form: full-width letters, ligatures and loose accents composed, digits of any script as 0 to 9.

    Invisible characters, such as a copied byte order mark or direction mark, are removed.
    """
    folded = unicodedata.normalize("NFKC", text)
    if folded.isascii():
        return folded
    seen = (each for each in folded if unicodedata.category(each) != "Cf")
    return "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in seen)


RULES: Mapping[str, str] = {
    "ignore_issuer": "ids of all issuers are one space: 123 of HOSPITAL is 123",
    "strip_spaces": "spaces are left out: 12 3 is 123",
    "fold_forms": "full-width letters, foreign digits and loose accents become usual ones, invisible marks are removed",
    "fold_case": "small and capital letters are equal",
    "drop_decimals": "123.0, as spreadsheets write it, is 123",
    "strip_zeros": "leading zeros are left out: 00123 is 123",
    "keep_zero": "the id 0 is a person's",
    "zero_is_none": "the id 0 belongs to no patient, even among numbered ids",
}
"""Rules that the owner of an archive may state for its patient ids."""
_SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "strip_spaces": lambda text: "".join(text.split()),
    "fold_forms": _one_form,
    "fold_case": lambda text: text.casefold(),
    "drop_decimals": lambda text: _WHOLE.sub(r"\1", text) if _WHOLE.fullmatch(text) else text,
    "strip_zeros": lambda text: _LEADING.sub("", text),
}
_OF_NUMBERS = ("drop_decimals", "strip_zeros")
"""Rules that do not apply to an issuer's name."""


def rules_of(text: str) -> tuple[str, ...]:
    """The rules that `strip_zeros,fold_case` names, in a fixed order; 'none' means no rules. Others raise UserError."""
    named = [each.strip() for each in text.split(",") if each.strip()]
    for each in named:
        if each not in RULES and each != "none":
            raise unknown_name("--patient-id-rule", each, [*RULES, "none"])
    if "none" in named and len(named) > 1:
        raise UserError("--patient-id-rule: 'none' excludes other rules; leave it out, or the other rules")
    if {"keep_zero", "zero_is_none"} <= set(named):
        raise UserError("--patient-id-rule: 'keep_zero' and 'zero_is_none' contradict each other; leave one out")
    return tuple(each for each in RULES if each in named)


@dataclass(frozen=True, slots=True)
class WrittenId:
    """A patient id as it is written, and the texts for its keys."""

    text: str
    """Text of the key: the id as written, changed by the owner's rules; empty if there is no id."""
    issuer: str
    alike: str
    """A text that is the same for all spellings of one id."""
    alike_issuer: str
    marks: tuple[str, ...]
    """The rules that would change it; or 'placeholder' or 'zero', if it identifies no patient."""


@lru_cache(8192)
def written_id(patient_id: str | None, issuer: str | None, rules: Sequence[str] = ()) -> WrittenId:
    """A patient id with its issuer under the owner's rules."""
    text, names = (patient_id or "").strip(_ENDS), (issuer or "").strip(_ENDS)
    mark = _placeholder_kind(text)
    if mark and not (mark == "zero" and "keep_zero" in rules):
        return WrittenId("", "", "", "", (mark,) if text else ())
    marks = ([mark] if mark else []) + (["ignore_issuer"] if names else [])
    alike, alike_issuer = _normalised(text), _normalised(names)
    normalised = alike != text
    for rule, spelled in _SPELLINGS.items():
        of_issuer = spelled if rule not in _OF_NUMBERS else str
        folded = spelled(alike)
        if folded != alike or (normalised and rule == "fold_forms"):
            marks.append(rule)
        alike, alike_issuer = folded, of_issuer(alike_issuer)
        if rule in rules:
            text, names = spelled(text), of_issuer(names)
    if "ignore_issuer" in rules:
        names = ""
    return WrittenId(text, names, alike, alike_issuer, tuple(marks))


def _normalised(text: str) -> str:
    """UTF-8 that was decoded as Latin-1 is decoded again; other text stays unchanged."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _placeholder_kind(text: str) -> str:
    """'placeholder' or 'zero' for a text that replaces an id; empty for an id."""
    folded = _one_form(text).strip()
    if _ZERO.fullmatch(folded):
        return "zero"
    # Compare without accents, which word lists often omit.
    bare = unicodedata.normalize("NFKD", folded.casefold())
    plain = "".join(each for each in bare if each.isalnum())
    placeholder = not plain.strip("0") or _PLACEHOLDER.fullmatch(plain) or _PLAIN.fullmatch(plain)
    return "placeholder" if placeholder else ""


def zero_of_numbered(ids: Iterable[str | None]) -> bool:
    """Whether 0 is a person's id among these ids (one per row): the first of a numbered set.

    It is if zero has one spelling, a number from 1 to 9 occurs in the same width, and zero has at most three times the
    rows of the most frequent of these numbers; otherwise it marks many people without id.
    """
    rows = Counter((each or "").strip(_ENDS) for each in ids)
    zeros = [each for each in rows if _placeholder_kind(each) == "zero"]
    written = _ZERO.fullmatch(zeros[0]) if len(zeros) == 1 else None
    if written is None:
        return False
    names = [str(number).zfill(len(written[1])) + (written[2] or "") for number in range(1, 10)]
    beside = [rows[name] for name in names if name in rows]
    return bool(beside) and rows[zeros[0]] <= 3 * max(beside)
