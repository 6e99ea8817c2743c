"""What every kind of model promises, and that a new one is one file: from the study file to the page."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from xray_mining.errors import UserError
from xray_mining.models.kind import NO_SEED, ModelKind, Role, Sight
from xray_mining.models.kinds import KINDS, kind_named, kind_of, kind_that_predicted, kinds_by_word
from xray_mining.models.options import DesignOptions, Options
from xray_mining.models.work import PROCESS_SECONDS, Size
from xray_mining.study.options import Study

STATED = {
    "null": {"model": "centre"},
    "baseline": {"model": "ridge", "features": ["f"]},
    "frozen": {"model": "frozen", "embeddings": ["e"], "head": "ridge"},
    "network": {"model": "network", "backbone": "test_resnet"},
    "ensemble": {"model": "ensemble", "members": ["baseline", "frozen"]},
    "oracle": {"model": "oracle"},
    "reader": {"model": "reader", "finding": "second_reading"},
}
STUDY = {
    "study": "s",
    "question": "Which?",
    "cohorts": {"c": {"query": "frontal_aged"}},
    "features": {"f": {"families": ["intensity"]}},
    "embeddings": {"e": {"weights": "none"}},
    "design": {"rotations": "all", "seeds": [4, 5]},
}

# The example of the docs, so that what they say works from the study file to the page.
PAGE = (Path(__file__).parents[2] / "docs/add_a_kind.md").read_text(encoding="utf-8")
NEW_KIND = PAGE.partition("```python\n# xray_mining/models/kinds/quantile.py\n")[2].partition("```")[0]

# The package learns of one more folder with kinds, as if the file were in it; then the command line does its work.
WITH_NEW_KIND = """
import sys
import xray_mining.models.kinds as kinds
from xray_mining.cli.main import main

folder, study, name, workspace = sys.argv[1:]
kinds.__path__.append(folder)
for words in (["train", study], ["evaluate", study], ["report", name]):
    sys.argv = ["xray-mining", *words, "--workspace", workspace]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


@pytest.fixture(scope="module")
def study() -> Study:
    """A study with an experiment of every kind, each named as its kind."""
    experiments = {name: {"cohort": "c", "target": "age_years", **each} for name, each in STATED.items()}
    return Study.model_validate(STUDY | {"experiments": experiments})


def test_every_kind_is_tried_here() -> None:
    assert set(STATED) == set(KINDS.names())


@pytest.mark.parametrize("name", KINDS.names())
def test_a_kind_has_the_name_of_its_file_and_words_of_its_own(name: str, study: Study) -> None:
    kind, options = KINDS.find(name), study.experiments[name]
    assert kind.name == name
    assert issubclass(kind.options, Options) and type(options) is kind.options and kind_of(options) is kind
    assert kind.words() and all(kinds_by_word()[word] is kind for word in kind.words())


@pytest.mark.parametrize("name", KINDS.names())
def test_a_misspelt_option_is_refused(name: str, study: Study) -> None:
    stated = study.experiments[name].model_dump()
    with pytest.raises(ValidationError, match="desing"):
        KINDS.find(name).options.model_validate(stated | {"desing": 1})


@pytest.mark.parametrize("name", KINDS.names())
def test_what_a_kind_needs_is_in_the_study(name: str, study: Study) -> None:
    kind, options = KINDS.find(name), study.experiments[name]
    for section, keys in kind.sets(options).items():
        assert set(keys) <= set(study.sets(section))
    assert set(kind.members(options)) <= set(study.experiments)
    assert not kind.missing(options)
    assert kind.threads(options) >= 1


@pytest.mark.parametrize("name", KINDS.names())
def test_more_to_do_takes_longer(name: str, study: Study) -> None:
    kind, options = KINDS.find(name), study.experiments[name]

    def seconds(images: int, rotations: int) -> float:
        return kind.work(options, study, Size(images, 5, rotations, 2, 200, gpu=False)).seconds

    assert PROCESS_SECONDS < seconds(100, 1) <= seconds(100_000, 1) < seconds(100_000, 5)
    assert kind.work(options, study, Size(100, 5, 1, 2, 200, gpu=False)).trains == (name == "network")


@pytest.mark.parametrize("name", KINDS.names())
def test_seeds_are_those_of_the_design_where_chance_plays_a_part(name: str) -> None:
    kind = KINDS.find(name)
    assert kind.seeds(DesignOptions(seeds=[4, 5])) == ([4, 5] if name == "network" else [NO_SEED])


@pytest.mark.parametrize("name", KINDS.names())
def test_a_kind_that_predicts_changed_pictures_says_so(name: str) -> None:
    kind = KINDS.find(name)
    assert kind.predicts_changed == (type(kind).changed is not ModelKind.changed)
    assert kind.may_be_best == (name not in ("null", "oracle", "reader"))


def test_a_kind_that_no_file_defines_is_scored_but_never_the_best() -> None:
    kind = kind_that_predicted("of an earlier version")
    assert not kind.may_be_best and kind.role is Role.OTHER
    assert all(kind_that_predicted(name) is KINDS.find(name) for name in KINDS.names())


def test_roles_and_sight_are_stated_by_the_kinds() -> None:
    roles = {role: [name for name in KINDS.names() if KINDS.find(name).role is role] for role in Role}
    assert [roles[role] for role in (Role.NULL, Role.HANDCRAFTED, Role.FROZEN, Role.ORACLE)] == [
        ["null"],
        ["baseline"],
        ["frozen"],
        ["oracle"],
    ]
    sight = {word: KINDS.find("null").sight(word) for word in KINDS.find("null").words()}
    assert sight == {
        "centre": Sight.NOTHING,
        "metadata": Sight.NO_PICTURE,
        "histogram": Sight.TRACES,
        "thumbnail": Sight.ANATOMY,
        "border": Sight.TRACES,
    }


def test_an_unknown_word_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"one: kind of model: 'rigde' is unknown; did you mean 'ridge'\?"):
        kind_named("rigde", "one")


def test_reading_a_study_imports_no_heavy_package() -> None:
    heavy = "('torch', 'timm', 'sklearn', 'scipy', 'polars', 'numpy', 'duckdb', 'cv2')"
    code = f"import sys, xray_mining.study.options; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_new_kind_of_model_is_one_file_from_the_study_file_to_the_page(small, tmp_path: Path) -> None:
    made = small("number years", "number::double", {"own": {"model": "centre"}}, evaluation={"bootstraps": 100})
    name = made.study.study
    stated = made.study.model_dump(mode="json")
    stated["experiments"] = {"own": {"model": "quantile", "share": 0.4, "cohort": "c", "target": "t"}}
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(stated))
    folder = tmp_path / "more_kinds"
    folder.mkdir()
    (folder / "quantile.py").write_text(NEW_KIND)
    words = [sys.executable, "-c", WITH_NEW_KIND, folder, file, name, made.workspace.root]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    notes = json.loads((made.workspace.experiment(name, "own") / "experiment.json").read_text())
    assert (notes["model_kind"], notes["options"]["share"], notes["licences"]) == (
        "quantile",
        0.4,
        {"quantiles": "CC0-1.0"},
    )
    [task] = json.loads((made.workspace.evaluation(name) / "study.json").read_text())["tasks"]
    assert task["best"] == "own", "a kind that may be the best is"
    page = made.workspace.report(name).read_text()
    assert "quantile · best on validation" in page, "it is called by its own name"
    # Without its file nothing of it is known.
    code = f"from xray_mining.study.options import read_study; read_study({str(file)!r})"
    refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "'quantile' is unknown" in refused.stderr
