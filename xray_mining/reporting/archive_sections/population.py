"""Patients of the archive by age and sex."""

import polars as pl

from xray_mining.reporting.archive_results import SEXES, ArchiveResults, band_words, hidden_note_of
from xray_mining.reporting.count_figures import pyramid
from xray_mining.reporting.metrics import number
from xray_mining.reporting.section import HIDDEN, Block, Cell, Column, Figures, Row, Section, Table

ORDER = 10
BAND_YEARS = 5


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """The pyramid of age and sex, and a table of its numbers."""
    frame = results.table("pyramid")
    title = "Age and sex"
    if frame.is_empty():
        return Section("population", title, "The archive has no patients.")
    cells = {(row["patient_sex"], row["age_from"]): row for row in frame.iter_rows(named=True)}
    ages = sorted({age for _, age in cells if age is not None})
    sexes = [sex for sex in SEXES if any(each == sex for each, _ in cells)]
    blocks: list[Block] = []
    # The figure needs known ages of women and men; the table has every sex, and a row for unknown ages.
    if ages:
        bands = [str(age) if age < 90 else "90+" for age in range(ages[0], ages[-1] + 1, BAND_YEARS)]
        sides = [
            [cells.get((sex, age), {"patients": 0})["patients"] for age in range(ages[0], ages[-1] + 1, BAND_YEARS)]
            for sex in ("F", "M")
        ]
        fullest = frame.filter(pl.col("age_from").is_not_null() & pl.col("patients").is_not_null())
        most = fullest.sort("patients", descending=True).row(0, named=True) if fullest.height else None
        words = (
            f"Most patients: {SEXES[most['patient_sex']].lower()} of {band_words(most['age_from'], BAND_YEARS)} years, "
            f"{most['patients']:,}."
            if most
            else ""
        )
        hidden = (
            " Hatched bars are numbers that are not printed ('hidden' in the table); they all have the same length."
            if frame["few"].any()
            else ""
        )
        figure = pyramid(
            "archive-pyramid-figure",
            bands,
            *sides,
            caption="Patients by sex and by age at the image, in bands of five years named by their first year."
            + hidden,
            alternative=f"Pyramid of age and sex. {words}",
        )
        blocks.append(Figures((figure,)))
    rows = [
        Row((Cell(band_words(age, BAND_YEARS)), *(_cell(cells.get((sex, age))) for sex in sexes)))
        for age in [*ages, *([None] if any(age is None for _, age in cells) else [])]
    ]
    heads = (Column("Age, years"), *(Column(SEXES[sex], numeric=True) for sex in sexes))
    note = hidden_note_of(results) if frame["few"].any() else ""
    caption = "Patients, and their images, by sex and age"
    blocks.append(Table("archive-pyramid", caption, heads, tuple(rows), note))
    return Section(
        "population",
        title,
        "The patients of the archive. A patient with images at several ages counts once in each age band.",
        tuple(blocks),
    )


def _cell(row: dict[str, int | None] | None) -> Cell:
    if row is None:
        return Cell("0", value=0.0)
    if row["patients"] is None or row["images"] is None:
        return HIDDEN
    return Cell(number(row["patients"], 0), f"{row['images']:,} images", float(row["patients"]))
