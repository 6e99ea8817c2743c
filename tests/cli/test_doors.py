"""The front door: fast help, an example in every command, one sentence and the right status for wrong use."""

import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import xray_mining
from xray_mining.cli.app import ORDER_OF_USE, run
from xray_mining.errors import UserError
from xray_mining.workspace import Workspace, asset, write_json

XRAY_MINING = Path(sys.executable).with_name("xray-mining")


def call(*words: str | Path, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(XRAY_MINING), *map(str, words)], capture_output=True, text=True, timeout=300, check=False, **options
    )


def commands() -> list[str]:

    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import pkgutil, importlib, xray_mining.cli as c\n"
            "from xray_mining.cli.app import app\n"
            "for m in pkgutil.iter_modules(c.__path__):\n"
            "    m.name in ('app', 'main') or importlib.import_module('xray_mining.cli.' + m.name)\n"
            "print(*[e.name or e.callback.__name__ for e in app.registered_commands if not e.hidden])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.split()


def test_help_imports_nothing_heavy():
    script = (
        "import sys; sys.argv = ['xray-mining', '--help']\n"
        "from xray_mining.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'timm', 'polars', 'duckdb', 'numpy', 'sklearn', 'matplotlib', 'cv2', 'pydantic'}\n"
        "print('HEAVY', *sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.strip().splitlines()[-1] == "HEAVY"


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_with_an_example(command):
    said = call(command, "--help")
    assert said.returncode == 0
    assert "Example: xray-mining" in " ".join(said.stdout.split()).replace("│", "")


def test_commands_are_listed_in_the_order_of_use():
    said = " ".join(call("--help").stdout.replace("│", " ").split())
    listed = [name for name in ORDER_OF_USE if f" {name} " in said]
    assert set(ORDER_OF_USE) <= set(commands()), "every name of the order is a command"
    places = [said.index(f" {name} ", said.index("Commands")) for name in listed]
    assert listed == list(ORDER_OF_USE) and places == sorted(places)


def test_the_version_is_told():
    assert call("--version").stdout.strip() == f"xray-mining {version('xray-mining')}"


@pytest.mark.parametrize("command", commands())
def test_help_tells_where_the_workspace_is_by_default(command):
    said = " ".join(call(command, "--help").stdout.replace("│", " ").split())
    assert "--workspace" not in said or "else ./workspace" in said


@pytest.mark.parametrize(("system", "name"), [("darwin", "macOS"), ("win32", "Windows"), ("freebsd14", "freebsd14")])
def test_another_system_is_refused_at_the_door_with_a_sentence(system, name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(sys, "argv", ["xray-mining", "--help"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    assert f"runs on Linux only, and this is {name}" in capsys.readouterr().err
    with pytest.raises(UserError, match="runs on Linux only"):
        xray_mining.open("workspace")


def test_the_studies_are_listed(tmp_path):
    assert "demo (shipped): " in call("studies", "--workspace", tmp_path).stdout
    work = Workspace.create(tmp_path / "work")
    write_json({"question": "Who?"}, work.evaluation("mine") / "study.json")
    (work.root / "experiments/mine/age_ridge").mkdir(parents=True)
    said = call("studies", "--workspace", work.root).stdout
    assert "mine (in this workspace, 1 experiments, evaluated): Who?" in said


def test_an_unknown_feature_set_is_one_short_sentence(tmp_path):
    """The check that looks at several keys once printed the whole study as what it had found."""
    study = yaml.safe_load(asset("pipelines/studies/demo.yaml").read_text())
    name, experiment = next((name, each) for name, each in study["experiments"].items() if each.get("features"))
    experiment["features"] = ["textures"]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    said = call("run", path, "--workspace", tmp_path / "w")
    assert said.returncode == 2
    assert f"{path}: experiments.{name}.features: 'textures' is unknown" in said.stderr
    assert "found" not in said.stderr and len(said.stderr) < 300


def test_a_misspelt_option_is_wrong_use(tmp_path):
    assert call("ingest", tmp_path, "--workspaec", tmp_path).returncode == 2


def test_a_folder_that_is_no_workspace(tmp_path):
    said = call("sql", "select 1", "--workspace", tmp_path)
    assert said.returncode == 2
    assert "is not a workspace" in said.stderr
    assert "Traceback" not in said.stderr


def test_an_unknown_study_names_the_nearest(tmp_path):
    said = call("run", "dmo", "--workspace", tmp_path / "w")
    assert said.returncode == 2
    assert "did you mean 'demo'" in said.stderr


def test_a_misspelt_key_of_a_study_is_named(tmp_path):
    study = yaml.safe_load(asset("pipelines/studies/demo.yaml").read_text())
    study["desing"] = study.pop("design", {})
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    said = call("run", path, "--workspace", tmp_path / "w")
    assert said.returncode == 2
    assert "'desing' is not a known key; did you mean 'design'" in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


def test_an_experiment_with_an_unknown_cohort_is_named(tmp_path):
    study = yaml.safe_load(asset("pipelines/studies/demo.yaml").read_text())
    first = next(iter(study["experiments"]))
    study["experiments"][first]["cohort"] = "agee"
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    said = call("run", path, "--workspace", tmp_path / "w")
    assert said.returncode == 2
    assert f"experiments.{first}.cohort" in said.stderr
    assert "'agee' is unknown" in said.stderr


def test_json_is_one_object(tmp_path):
    said = call("phantom", tmp_path / "archive", "--patients", "2", "--seed", "1", "--size", "64", "--json")
    assert said.returncode == 0, said.stderr
    assert isinstance(json.loads(said.stdout), dict)


def test_help_is_quick():
    """Not a promise of time: the fastest of five calls stays far below what a heavy import costs."""
    call("--help")
    times = []
    for _ in range(5):
        started = time.perf_counter()
        assert call("--help").returncode == 0
        times.append(time.perf_counter() - started)
    assert min(times) < 1.5
