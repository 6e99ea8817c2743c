"""Under several rotations nobody is only trained on or only tested: flow and Table 1 describe all of them."""

import polars as pl

from xray_mining.evaluation.cohorts import flow, table_one


def described(made, rotations):
    told = {"archive": "made", "burned_in_text": "no", "laterality": "L"}
    attributes = made.frame.drop("fold").with_columns(pl.lit(each).alias(name) for name, each in told.items())
    rows = table_one(made.cohort, attributes, least=10, width=10, rotations=rotations)
    return pl.DataFrame(rows, infer_schema_length=None)


def test_the_flow_of_all_rotations_tests_everybody_and_has_no_roles(make):
    made = make(patients=200, images_each=2, pictures=False)
    told = flow(made.cohort, ["network"], rotations=5)
    assert told["tested"] == {"images": 400, "patients": 200}
    assert told["rotations"] == 5 and told["roles"] == []
    held_out = flow(made.cohort, ["network"])
    assert held_out["tested"] == {"images": 80, "patients": 40}
    assert [each["role"] for each in held_out["roles"]] == ["train", "validation", "test"]


def test_table_one_of_all_rotations_has_columns_by_label_and_none_by_role(make):
    made = make(patients=400, pictures=False)
    rows = described(made, rotations=5)
    assert set(rows["column"]) == {"all", "F", "M"}
    age = rows.filter(pl.col("variable") == "age_years")
    women = made.frame.filter(pl.col("patient_sex") == "F")
    assert dict(age.select("column", "patients").iter_rows())["F"] == women.height
    assert age["standardised_difference"].is_not_null().all()
    assert set(described(made, rotations=1)["column"]) == {"all", "train", "validation", "test"}
