"""Everyday names of columns of `images` and of the sexes, shared by the report, its answer and the archive report."""

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
    """Everyday name of a column or target, as 'sex' for patient_sex; other names only lose their underscores.

    Example:
        >>> column_words("patient_sex"), column_words("heart_width")
        ('sex', 'heart width')
    """
    return _WORDS.get(name, name.replace("_", " "))
