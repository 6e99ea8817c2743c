"""Table 1 agrees with the tableone library (Pollard et al., JAMIA Open 2018): counts, means and differences."""

import warnings

import numpy as np
import polars as pl
import pytest
from tableone import TableOne

from xray_mining.evaluation.cohorts import CATEGORIES, table_one


@pytest.fixture
def described(make):
    """Rows of Table 1 of 400 patients, some without an age, and a pandas frame of the same patients."""
    made = make(patients=400, pictures=False)
    rng = np.random.default_rng(5)
    frame = made.frame.with_columns(
        pl.when(pl.Series(rng.random(400) < 0.1)).then(None).otherwise("age_years").alias("age_years"),
        pl.Series("view_position", rng.choice(["PA", "AP", "LATERAL"], 400, p=[0.6, 0.3, 0.1])),
        pl.Series("laterality", rng.choice(["L", "R", ""], 400)).replace("", None),
    )
    attributes = frame.drop("fold").with_columns(
        pl.lit("made").alias("archive"), pl.lit("no").alias("burned_in_text"), pl.col("study_year").cast(pl.Int64)
    )
    rows = pl.DataFrame(table_one(made.cohort, attributes, least=1, width=10), infer_schema_length=None)
    persons = attributes.join(made.cohort.members().select("image_key", "split"), on="image_key")
    return rows, persons.with_columns(pl.col("laterality").fill_null("not known")).to_pandas()


def of_tableone(persons, categories):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own use of pandas
        return TableOne(
            persons,
            columns=["age_years", *categories],
            categorical=list(categories),
            groupby="split",
            smd=True,
            pval=False,
        )


def test_standardised_differences_are_those_of_tableone(described):
    rows, persons = described
    names = [name for name in CATEGORIES if name in ("patient_sex", "view_position", "manufacturer", "laterality")]
    found = of_tableone(persons, names).smd_table
    # theirs is the second group less the first, in an order of the groups that is theirs; ours training less test
    column, sign = next((c, s) for c, s in (("SMD (test,train)", 1), ("SMD (train,test)", -1)) if c in found)
    ours = dict(rows.select("variable", "standardised_difference").unique().iter_rows())
    for name in ("age_years", *names):
        theirs = float(found[column].loc[[name]].iloc[0]) * (sign if name == "age_years" else 1)
        assert ours[name] == pytest.approx(theirs, abs=1e-9), name
        assert abs(ours[name]) > 1e-4


def test_counts_means_and_deviations_are_those_of_tableone(described):
    rows, persons = described
    names = ["patient_sex", "view_position", "manufacturer", "laterality"]
    theirs = of_tableone(persons, names)
    for split in ("train", "validation", "test"):
        (age,) = rows.filter((pl.col("variable") == "age_years") & (pl.col("column") == split)).to_dicts()
        found = theirs.cont_describe.loc["age_years"]
        assert age["patients"] == found["count"][split] < (persons["split"] == split).sum()
        assert age["mean"] == pytest.approx(found["mean"][split])
        assert age["deviation"] == pytest.approx(found["std"][split])
        for ours, quantile in (("quarter", "q25"), ("median", "median"), ("three_quarters", "q75")):
            assert age[ours] == pytest.approx(found[quantile][split])
        for name in names:
            of_name = rows.filter((pl.col("variable") == name) & (pl.col("column") == split))
            counts = theirs.cat_describe.loc[name]["freq"][split].to_dict()
            assert dict(of_name.select("level", "patients").iter_rows()) == counts
            assert sum(counts.values()) == (persons["split"] == split).sum()
