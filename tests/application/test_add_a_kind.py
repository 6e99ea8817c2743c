"""The examples of docs/add_a_kind.md, each added to its package for one test and used."""

import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import polars as pl
import pytest

from xray_mining.archive.source import source_at
from xray_mining.archive.sources.folder import FolderSource
from xray_mining.catalog.cohort import freeze
from xray_mining.catalog.connection import connect, frame
from xray_mining.catalog.header import read_header
from xray_mining.evaluation.audits import AUDITS, AuditedCohort
from xray_mining.features.options import FeatureOptions
from xray_mining.features.picture import picture_of
from xray_mining.models.kinds import KINDS
from xray_mining.pixels.store import PixelStore
from xray_mining.reporting.results import Results
from xray_mining.sets.measured import frame_of
from xray_mining.workspace import Workspace

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs/add_a_kind.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
FILES = {re.match(r"# (\S+)\n", text)[1]: text for language, text in BLOCKS if language == "python"}
CHECK, COHORT = [text for language, text in BLOCKS if language == "sql"]


@pytest.fixture
def workspace(place):
    return Workspace.open(place.root)


@pytest.fixture
def added(tmp_path, monkeypatch):
    """Adds an example's file to its package; gives the module."""

    def add(path: str):
        package, _, name = path.removesuffix(".py").replace("/", ".").rpartition(".")
        (tmp_path / f"{name}.py").write_text(FILES[path], encoding="utf-8")
        folders = [*import_module(package).__path__, str(tmp_path)]
        monkeypatch.setattr(import_module(package), "__path__", folders)
        monkeypatch.delitem(sys.modules, f"{package}.{name}", raising=False)
        module = import_module(f"{package}.{name}")
        monkeypatch.delattr(import_module(package), name, raising=False)
        monkeypatch.delitem(sys.modules, f"{package}.{name}")
        monkeypatch.setitem(sys.modules, f"{package}.{name}", module)
        return module

    return add


def test_every_python_example_has_a_test():
    others = [TESTS / "models_baselines/test_model_kinds.py", TESTS / "models_baselines/test_target_kinds.py"]
    tested = "".join(path.read_text(encoding="utf-8") for path in (Path(__file__), *others))
    assert len(FILES) == 11
    assert all(path in tested for path in FILES)


def test_the_model(added):
    # tests/models_baselines/test_model_kinds.py runs this example from the study file to the page.
    kind = added("xray_mining/models/kinds/quantile.py").KIND
    assert KINDS.find("quantile") is kind and kind.words() == ("quantile",)


def test_the_feature(added, workspace, monkeypatch):
    from xray_mining.features import registry

    monkeypatch.setattr(registry, "_KNOWN", dict(registry._KNOWN))
    family = added("xray_mining/features/corners.py").corners
    options = FeatureOptions(side_px=64)
    picture = PixelStore.open(workspace).read(frame_keys(workspace)[:1])[0]
    numbers = family.compute(picture_of(picture, None, options), options)
    assert len(numbers) == len(family.columns(options)) == 4
    assert numbers[0] == pytest.approx(picture[:8, :8].mean())


def frame_keys(workspace) -> list[str]:
    with connect(workspace, results=False) as con:
        return frame(con, "select image_key from images order by image_key")["image_key"].to_list()


# A process of its own, because the sections of study files are known once and for all when the program starts.
WITH_INSTRUMENT = """
import json
import sys
from pathlib import Path

import xray_mining.models.kinds
import xray_mining.study.instruments

folder, study_file, workspace = map(Path, sys.argv[1:])
xray_mining.study.instruments.__path__.append(str(folder / "instruments"))
xray_mining.models.kinds.__path__.append(str(folder / "models"))

from xray_mining.cli.main import main
from xray_mining.study.options import read_study
from xray_mining.study.perform import own_process, perform
from xray_mining.study.plan import plan, refuse_unknown_names
from xray_mining.study.spread import Spread
from xray_mining.study.work import Extent, work_of

study = read_study(str(study_file))
refuse_unknown_names(study)
steps = {step.name: step for step in plan(study)}
print(*steps)
print(*(step.name for step in plan(study, spread=Spread(2, 2)) if step.stage == "greys"))
print(work_of(study, steps["greys/g.c"], Extent(0, 0.0, 1000)).kind, steps["train/q"].after)
given = {"study": str(study_file), "cwd": ".", "workspace": str(workspace), "archive": "", "archive_state": ""}
given |= {"name": "", "spread": None, "events": str(folder / "events"), "run": own_process()}
(folder / "config.json").write_text(json.dumps(given))
perform(folder / "config.json", "greys/g.c", 1)
print(json.loads((folder / "events").read_text().splitlines()[-1])["sentence"])
sys.argv = ["xray-mining", "measure", "greys", "s/c", "--study", str(study_file), "--workspace", str(workspace)]
main()
"""


def test_the_instrument(workspace, tmp_path):
    own = Workspace.open(shutil.copytree(workspace.root, tmp_path / "workspace"))
    members = freeze(own, "frontal_aged", "s-c", folds=3).members().height
    reads = '    def sets(self, options):\n        return {"greys": ["g"]}\n\n    def inputs('
    examples = {
        "instruments": "xray_mining/study/instruments/greys.py",
        "models": "xray_mining/models/kinds/quantile.py",
    }
    for name, path in examples.items():
        (tmp_path / name).mkdir()
        text = FILES[path].replace("    def inputs(", reads)
        (tmp_path / name / path.rpartition("/")[2]).write_text(text, encoding="utf-8")
    (tmp_path / "s.yaml").write_text(
        "study: s\nquestion: How grey?\ncohorts: {c: {query: frontal_aged, folds: 3}}\ngreys: {g: {limit: 100}}\n"
        "experiments: {q: {model: quantile, cohort: c, target: age_years}}\n"
    )
    given = [sys.executable, "-c", WITH_INSTRUMENT, tmp_path, tmp_path / "s.yaml", own.root]
    ended = subprocess.run(list(map(str, given)), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    steps, slices, work, done, again = ended.stdout.splitlines()[:5]
    assert steps.split()[:4] == ["ingest", "cohort/c", "greys/g.c", "train/q"]
    assert slices.split() == ["greys/g.c/shards0-0", "greys/g.c/shards1-end", "greys/g.c"]
    assert work == "greys ('cohort/c', 'greys/g.c')"
    assert f"{members:,} radiographs × 2 numbers ({members:,} measured now" in done
    assert f"{members:,} radiographs × 2 numbers (0 measured now" in again
    made = frame_of(own, "greys", "g")
    pictures = PixelStore.open(own).read(made["image_key"].to_list())
    assert made["bright"].to_list() == [(each > 100).sum() for each in pictures]


def test_the_audit(added, workspace):
    added("xray_mining/evaluation/audits/many_folds.py")
    cohort = freeze(workspace, "frontal_adults", "audited")
    figures, [row] = AUDITS.find("many_folds").run(AuditedCohort(cohort, pl.DataFrame(), workspace))
    assert not figures and (row.code, row.outcome) == ("FOLD009", "failed")
    least = min(count for _, count in cohort.members()["fold"].value_counts().iter_rows())
    assert row.sentence == f"audited: the smallest fold has {least} patients; at least 30 are needed."


def test_the_check(workspace):
    header = read_header(CHECK, "the example")
    assert (header.code, header.severity, header.scope) == ("AGE009", "note", "archive")
    with connect(workspace, results=False) as con:
        assert frame(con, CHECK).is_empty()


def test_the_cohort(workspace, tmp_path):
    (tmp_path / "women.sql").write_text(COHORT, encoding="utf-8")
    frozen = freeze(workspace, str(tmp_path / "women.sql"), "women", {"youngest": 40}, folds=3)
    assert frozen.flow[1].words == "images of women of known age"
    assert 0 < frozen.members().height == frozen.flow[1].images < 30


def test_the_adapter(added, tmp_path):
    adapter = added("xray_mining/archive/flat.py").Flat
    (tmp_path / "archive").mkdir()
    adapter.example(tmp_path / "archive")
    read = adapter(FolderSource(tmp_path / "archive"))
    found = [one for file in read.files() for one in read.read(file, read.source.read(file.path))]
    assert [one.header.patient_id for one in found] == ["p1", "p2"]
    assert all(one.encoded is not None for one in found)


def test_the_source(added):
    added("xray_mining/archive/sources/memory.py")
    source = source_at("memory://demo")
    source.check()
    [file] = source.files()
    assert source.read(file.path) == b"..." and source.has_folder(b"a") and not source.top()


def test_the_section(added, workspace):
    section = added("xray_mining/reporting/sections/models.py")
    results = Results.load(workspace.evaluation("s"))
    assert section.applies(results)
    built = section.build(results)
    assert [row.cells[0].text for row in built.tables[0].rows] == list(results.experiments)
