"""Members of a cohort by age and sex, for a small pyramid; small cells are hidden as in Table 1."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from xray_mining.catalog.order import latest_first
from xray_mining.evaluation.subgroups import age_bands, shown_cells
from xray_mining.records.cohort import FrozenCohort

DRAWN = ("F", "M")


def by_age_and_sex(
    cohort: FrozenCohort,
    attributes: pl.DataFrame,
    table_one: Sequence[Mapping[str, Any]],
    least: int,
    width: int,
) -> list[dict[str, Any]]:
    """Count a cohort's patients by sex and age band; each patient counts once, as in Table 1.

    Args:
        cohort: The frozen cohort.
        attributes: Attributes of its members, by image_key.
        table_one: Rows of the cohort's Table 1; cells that it hides are hidden here too.
        least: Cells of fewer patients are hidden.
        width: Width of the age bands in years.

    Returns:
        Dicts with `sex`, `band` and `patients` (None if hidden), bands in order of age.
    """
    members = cohort.members().select("image_key", "patient_key")
    known = [name for name in ("patient_sequence", "age_years", "patient_sex") if name in attributes.columns]
    frame = members.join(attributes.select("image_key", *known), on="image_key", how="left")
    frame = latest_first(frame).unique("patient_key", keep="first", maintain_order=True)
    frame = frame.with_columns(age_bands(frame["age_years"], width).alias("band"))
    # Hidden cells of Table 1 as (band, sex); '' means all bands or both sexes. Table 1 has age bands of a sex only if
    # the sexes have columns.
    hidden = {
        (row["level"], "" if row["column"] == "all" else row["column"])
        if row["variable"] == "age_band"
        else ("", row["level"])
        for row in table_one
        if row["hidden"]
        and (
            (row["variable"] == "age_band" and row["column"] in ("all", *DRAWN))
            or (row["variable"] == "patient_sex" and row["column"] == "all")
        )
    }
    shown = shown_cells(frame["band"], frame["patient_sex"], frame["patient_key"].to_numpy(), least, hidden)
    ages = frame.drop_nulls("band").sort("age_years")["band"].unique(maintain_order=True).to_list()
    counts = {(band, sex): count for band, sex, count in frame.group_by("band", "patient_sex").len().iter_rows()}
    return [
        {
            "sex": sex,
            "band": band,
            "patients": count if (count := counts.get((band, sex), 0)) == 0 or (band, sex) in shown else None,
        }
        for sex in DRAWN
        for band in ages
    ]
