"""Decisions from a header alone: whether it is a chest radiograph, and which of its cells could not be read."""

from collections.abc import Mapping
from typing import Any

from xray_mining.archive.cells import read_day, stated
from xray_mining.archive.radiograph import Header, Unread, Unusable
from xray_mining.ingest import terms


def unread_of(header: Header, row: Mapping[str, Any]) -> list[Unread]:
    """Values that a header states and `identify` could not read, so that their columns are empty."""
    found = []
    for name, text in (("study_date", header.study_date), ("birth_date", header.birth_date)):
        day = read_day(text)
        if day.reason:
            found.append(Unread(name, day.reason))
    if row["age_years"] is None and stated(header.age_text) is not None:
        flags = row["quality_flags"]
        reason = "bound" if "bounded_age" in flags else "impossible_age" if row["age_raw"] else "not_an_age"
        found.append(Unread("age", reason))
    for name, text, value in (
        ("sex", header.sex if terms.states_a_sex(header.sex) else None, row["patient_sex"]),
        ("laterality", header.laterality, row["laterality"]),
        ("model_name", header.model_name, row["manufacturer_model_name"]),
        ("licence", header.licence, row["licence"]),
    ):
        if value is None and stated(text) is not None:
            found.append(Unread(name, "unknown_word"))
    return found


def admit(header: Header) -> None:
    """Raise Unusable if modality, body part or text show that this is no chest radiograph."""
    if header.known_chest:
        return
    modality = (header.modality or "").upper()
    if modality and modality not in terms.RADIOGRAPHS:
        word = terms.modality_in_words(modality)
        raise Unusable("header", "not_radiograph", f"The modality is {word}; radiographs are CR, DX or a capture.")
    chest = terms.shows_chest(header.body_part, header.view_texts)
    if chest is False:
        raise Unusable("header", "not_chest", "The header names another part of the body than the chest.")
    if chest is None and (not modality or modality in terms.CAPTURES):
        raise Unusable("header", "not_chest", "Nothing in the header says that this picture shows a chest.")
