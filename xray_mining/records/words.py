"""Columns of `images` and the sexes as people call them: one list for the page, the answer and the archive's page."""

_WORDS = {
    "age_years": "age",
    "patient_sex": "sex",
    "view_position": "view",
    "patient_id": "patient id",
    "institution": "site",
    "institution_key": "site",
    "manufacturer": "maker",
    "manufacturer_model_name": "model",
    "study_year": "year of study",
    "study_day": "day of the study",
    "pixel_spacing_mm": "pixel spacing",
    "pixels": "pixels (read with the header)",
}


SEX_WORDS = {"F": "women", "M": "men", "O": "other"}
"""Codes of patient_sex → the group, in the order of tables and figures."""


def column_words(name: str) -> str:
    """A column or target for people, as 'sex' for patient_sex; a name without an entry loses its underscores.

    Example:
        >>> column_words("patient_sex"), column_words("heart_width")
        ('sex', 'heart width')
    """
    return _WORDS.get(name, name.replace("_", " "))
