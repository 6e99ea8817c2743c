"""Cohorts of two patients a class and more through the command line: a page, or one sentence and its exit status."""

import sys

import duckdb
import pytest
import yaml

from xray_mining.cli.main import main

SQL = """-- question: everybody, for a test
-- one row: one image
-- target: t {kind}
-- made of: findings
-- example: xray-mining cohort t
with
-- step: files that are there
everybody as (
    select
        i.image_key,
        (select max(f.value) from findings as f where f.image_key = i.image_key and f.name = 'number') as number
    from eligible as i
),

-- step: the first patients
chosen as (
    select image_key, {expression} as t from everybody where number < {patients}
)

select image_key, t from chosen
"""
CASES = {
    "two labels": ("binary positive='yes'", "case when number % 2 = 0 then 'yes' else 'no' end", 2, "logistic"),
    "group of two": ("group", "case when number % 2 = 0 then 'a' else 'b' end", 2, "logistic"),
    "group of three": ("group", "chr(97 + (number % 3)::integer)", 3, "logistic"),
    "ordinal": ("ordinal", "(number % 3)::integer", 3, "logistic"),
    "number": ("number years", "number", 1, "ridge"),
}


@pytest.fixture
def command(monkeypatch, capsys):
    """command(words): the exit status of the command line in this process, and its last line on standard error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["xray-mining", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("xray-mining: ")]
        assert len(said) == (ended.value.code not in (0, None)), "one sentence where it fails, none where it does not"
        return ended.value.code or 0, said[-1] if said else ""

    return call


@pytest.mark.parametrize(
    ("case", "each_class"),
    [
        ("two labels", 2),
        ("two labels", 3),
        ("group of two", 2),
        ("group of two", 6),
        ("group of three", 2),
        ("ordinal", 2),
        ("number", 3),
    ],
)
def test_a_tiny_cohort_ends_in_a_page_or_in_one_sentence(case, each_class, small_workspace, command, tmp_path):
    kind, expression, classes, model = CASES[case]
    (tmp_path / "t.sql").write_text(SQL.format(kind=kind, expression=expression, patients=each_class * classes))
    name = f"tiny_{'_'.join(case.split())}_{each_class}"
    study = {
        "study": name,
        "question": "Enough?",
        "cohorts": {"c": {"query": str(tmp_path / "t.sql"), "folds": 3}},
        "features": {"f": {"families": ["intensity"], "side_px": 64}},
        "experiments": {"one": {"cohort": "c", "target": "t", "model": model, "features": ["f"]}},
        "design": {"changed_images": 0},
        "evaluation": {"bootstraps": 100},
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    place = ("--workspace", small_workspace.root)
    steps = (
        ("cohort", tmp_path / "t.sql", "--as", f"{name}-c", "--folds", 3),
        ("features", f"{name}/c", "--study", path),
        ("train", path),
        ("evaluate", path),
    )
    for step in steps:
        status, sentence = command(*step, *place)
        if status:
            assert status in (1, 2), sentence
            assert "a bug in the program" not in sentence and len(sentence) < 400
            assert each_class < 6, f"six patients a class are enough: {sentence}"
            return
    # Other programs find the figures in the file as soon as `evaluate` has ended.
    with duckdb.connect(str(small_workspace.results), read_only=True) as con:
        asked = (
            "select count(distinct experiment) from estimates where study = ? and metric in ('auc', 'auc_macro', 'mae')"
        )
        assert con.execute(asked, [name]).fetchone() >= (1,)
        assert con.execute("select count(*) from predictions where study = ?", [name]).fetchone() > (0,)
    assert command("report", name, *place) == (0, "")
    assert small_workspace.report(name).is_file()
