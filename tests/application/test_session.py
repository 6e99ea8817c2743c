"""An open workspace: its examples, threads, what it keeps open, and that it leaves the process as it was."""

import doctest
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import polars as pl
import pytest

import xray_mining
from xray_mining import process_settings
from xray_mining.application import session
from xray_mining.errors import UserError
from xray_mining.process_settings import Shared, environment, warning_filters
from xray_mining.workspace import Workspace
from xray_mining.workspace.opened import Opened

THREADS = 8
QUERY = "select patient_sex, count(*) as n, avg(age_years) as age from images group by all order by all"


@pytest.fixture
def work(place):
    with xray_mining.open(place.root) as opened:
        yield opened


def _examples():
    found = {}
    for module in (session, xray_mining, process_settings):
        for each in doctest.DocTestFinder(exclude_empty=True).find(module):
            if each.examples:
                found[each.name] = each
    return found


@pytest.mark.parametrize("name", _examples())
def test_the_examples_of_the_doors_hold(name, place, work):
    example = _examples()[name]
    example.globs |= {
        "xray_mining": xray_mining,
        "Path": Path,
        "root": place.root,
        "work": work,
        "study_file": str(place.study_file),
        "picture": place.pictures / "000.png",
    }
    said = []
    doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL).run(example, out=said.append)
    assert not said, "".join(said)


def test_every_door_has_a_docstring_with_an_example():
    doors = [name for name in vars(session.Session) if not name.startswith("_")]
    assert len(doors) > 15
    for name in doors:
        text = vars(session.Session)[name].__doc__
        assert "Example:\n" in text, name
        assert name == "close" or ("Returns:\n" in text and "Raises:\n" in text), name


def _asked(work: session.Session, number: int) -> list[object]:
    """What a thread asks, as answers that can be compared: queries, pictures, cohorts that others freeze too."""
    keys = work.sql("select image_key from images order by image_key")["image_key"]
    cohort = work.freeze("frontal_adults", f"adults{number % 2}", youngest=20 + number % 2)
    members = "select count(*) as n from cohort_members where cohort = $name"
    return [
        work.sql(QUERY).rows(),
        work.pixels(keys.sample(20, seed=number, shuffle=True)).tobytes(),
        cohort.digest,
        work.sql(members, name=cohort.name).rows(),
        work.cohort("s-c").digest,
    ]


def _predicted(work: session.Session, pictures: list[Path]) -> list[tuple[str, float | None, str]]:
    return [(each.file, each.value, each.trouble) for each in work.predict("s/ridge", pictures, jobs=1).predictions]


def test_eight_threads_get_what_one_gets(place, work):
    pictures = [place.pictures / f"{number:03d}.png" for number in range(THREADS)]
    serial = [_asked(work, number) for number in range(THREADS)]
    said = _predicted(work, pictures)
    with xray_mining.open(place.root) as other, ThreadPoolExecutor(THREADS) as pool:
        asked = [pool.submit(_asked, other, number) for number in range(THREADS)]
        predicted = [pool.submit(_predicted, other, [each]) for each in pictures]
        assert [each.result() for each in asked] == serial
        assert [each.result() for each in predicted] == [[each] for each in said]


def _process_state() -> dict[str, object]:
    """Everything of the process that a call could leave changed."""
    import cv2
    import matplotlib as mpl
    import torch
    from huggingface_hub import constants
    from PIL import Image
    from pydicom import config

    loggers = {name: logging.getLogger(name) for name in [*logging.root.manager.loggerDict, "root"]}
    return {
        "environment": dict(os.environ),
        "levels": {name: each.level for name, each in loggers.items() if each.level},
        "filters": list(warnings.filters),
        "cv2": cv2.getNumThreads(),
        "torch": (torch.get_num_threads(), torch.get_default_dtype(), torch.backends.cudnn.allow_tf32),
        "torch chance": torch.random.get_rng_state().numpy().tobytes(),
        "numpy chance": pickle.dumps(np.random.get_state()),  # noqa: NPY002
        "numpy errors": np.geterr(),
        "pydicom": (config.settings.reading_validation_mode, config.settings.writing_validation_mode),
        "pillow": Image.MAX_IMAGE_PIXELS,
        "hub": constants.HF_HUB_OFFLINE,
        "matplotlib": dict(mpl.rcParams),
        "polars": pl.Config.state(if_set=True),
        "folder": Path.cwd(),
        "signals": [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)],
        "recursion": sys.getrecursionlimit(),
    }


def test_no_call_leaves_the_process_changed(place, tmp_path, monkeypatch):
    # The process is compared with its state just before the calls: these two settings differ from what a call sets.
    from pydicom import config

    monkeypatch.setattr(config.settings, "reading_validation_mode", config.WARN)
    monkeypatch.delenv("NO_ALBUMENTATIONS_UPDATE", raising=False)
    # Imports by themselves: what a library sets when it is loaded is not of a call.
    import sklearn.linear_model  # noqa: F401

    from xray_mining.networks import training  # noqa: F401
    from xray_mining.reporting import figures  # noqa: F401

    before = _process_state()
    with xray_mining.open(place.root) as work:
        with pytest.raises(UserError):
            work.sql("vacuum analyze images")
        work.tables()
        work.check()
        with ThreadPoolExecutor(THREADS) as pool:
            asked = [pool.submit(_asked, work, number) for number in range(THREADS)]
            predicted = [pool.submit(_predicted, work, [place.pictures / f"{number:03d}.png"]) for number in range(2)]
            assert all(each.result() for each in [*asked, *predicted])
        study = work.study(str(place.study_file))
        work.train(study)
        work.evaluate(study)
        work.report("s", output=tmp_path / "page.html")
    after = _process_state()
    assert {name: after[name] for name in before if after[name] != before[name]} == {}


def test_a_shared_change_is_undone_after_the_last_block_in_whatever_order_they_end():
    change = Shared(lambda: environment({"XRAY_MINING_TEST": "1"}))
    first, second = change, change
    first.__enter__()
    second.__enter__()
    first.__exit__()
    assert os.environ["XRAY_MINING_TEST"] == "1"
    second.__exit__()
    assert "XRAY_MINING_TEST" not in os.environ


def test_filters_of_two_threads_that_end_in_the_wrong_order_leave_none():
    before = list(warnings.filters)
    first = warning_filters(lambda: warnings.simplefilter("ignore", UserWarning))
    second = warning_filters(lambda: warnings.simplefilter("ignore", FutureWarning))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    warnings.warn("not seen", FutureWarning, stacklevel=1)
    second.__exit__(None, None, None)
    assert warnings.filters == before


def test_what_others_add_is_seen_and_what_was_open_is_kept(place, work):
    work.sql(QUERY)
    opened = work.workspace.opened
    catalog = opened.get(("catalog", True), lambda: pytest.fail("was not kept"), _files(work))
    work.sql(QUERY)
    assert opened.get(("catalog", True), lambda: pytest.fail("was not kept"), _files(work)) is catalog
    count = "select count(distinct cohort) as n from cohort_members"
    before = work.sql(count)["n"][0]
    name = f"later{time.time_ns()}"
    asked = f"import xray_mining; xray_mining.open({str(place.root)!r}).freeze('frontal_adults', {name!r}, youngest=47)"
    subprocess.run([sys.executable, "-c", asked], check=True)
    assert work.sql(count)["n"][0] == before + 1
    assert work.cohort(name).members().height == 33


def _files(work: session.Session) -> object:
    return tuple(
        (path.stat().st_ino, path.stat().st_mtime_ns) for path in (work.workspace.catalog, work.workspace.results)
    )


def test_a_second_change_in_the_same_tick_is_not_missed(work):
    for number in range(3):
        cohort = work.freeze("frontal_adults", f"tick{time.time_ns()}", youngest=30 + number)
        there = work.sql("select count(*) as n from cohort_members where cohort = $name", name=cohort.name)
        assert there["n"][0] == cohort.members().height > 0


def test_a_closed_workspace_refuses_and_may_be_closed_again(place):
    work = xray_mining.open(place.root)
    work.sql(QUERY)
    key = work.cohort("s-c").members()["image_key"][0]
    work.close()
    work.close()
    study = str(place.study_file)
    calls = {
        "sql": (QUERY,),
        "freeze": ("frontal_adults",),
        "cohort": ("s-c",),
        "pixels": ([key],),
        "features": ("f",),
        "embeddings": ("e",),
        "study": (study,),
        "train": (study,),
        "evaluate": ("s",),
        "report": ("s",),
        "predict": ("s/ridge", [place.pictures / "000.png"]),
        "predictions": ("s", "ridge"),
        "estimates": ("s",),
        "locate": (key,),
        "tables": (),
        "check": (),
    }
    assert calls.keys() == {name for name in vars(session.Session) if not name.startswith("_")} - {"close"}
    for name, given in calls.items():
        with pytest.raises(UserError, match="was closed; open it again"):
            getattr(work, name)(*given)


def test_closing_while_other_threads_ask_ends_or_refuses_their_calls(place):
    """Not an error of DuckDB, which refuses to close a connection in use."""
    long = (
        "select a.image_key, count(*) as n from images a, images b, images c, images d "
        "where a.age_years + b.age_years > c.age_years + d.age_years group by all"
    )
    work = xray_mining.open(place.root)
    work.sql(QUERY)
    catalog = work.workspace.opened.get(("catalog", True), lambda: pytest.fail("was not kept"), _files(work))
    started = Barrier(5)

    def ask() -> int:
        started.wait()
        rows = 0
        while True:
            try:
                rows += work.sql(long).height
            except UserError as error:
                assert "was closed; open it again" in str(error)
                return rows

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask) for _ in range(4)]
        started.wait()
        time.sleep(0.3)
        work.close()
        assert all(each.result() >= 0 for each in asked)
    assert not Path(catalog._spill).exists()


def test_what_fails_to_close_leaves_nothing_else_open():
    closed = []

    class Thing:
        def __init__(self, name):
            self.name = name

        def close(self):
            closed.append(self.name)
            if self.name == "second":
                raise OSError("the second cannot be closed")

    opened = Opened()
    for name in ("first", "second", "third"):
        opened.get(name, lambda name=name: Thing(name))
    with pytest.raises(OSError, match="the second"):
        opened.close()
    assert sorted(closed) == ["first", "second", "third"]


def test_no_name_leads_out_of_its_folder(work):
    for ask in (
        lambda: work.predictions("..", "parts"),
        lambda: work.predictions("s/ridge", ""),
        lambda: work.predictions("s", "../../experiments/s/ridge"),
        lambda: work.estimates("../evaluations/s"),
        lambda: work.cohort("../cohorts/s-c"),
        lambda: work.check(".."),
        lambda: work.features("../features/f"),
    ):
        with pytest.raises(UserError, match="is unknown; "):
            ask()


def test_a_query_does_not_make_a_removed_workspace_again(place, tmp_path):
    root = Path(shutil.copytree(place.root, tmp_path / "copied"))
    with xray_mining.open(root) as work:
        work.sql(QUERY)
        shutil.rmtree(root)
        with pytest.raises(UserError, match="is not a workspace"):
            work.sql(QUERY)
    assert not root.exists()
    Workspace.create(root)


def test_a_workspace_goes_to_another_process_without_what_is_open(work):
    work.sql(QUERY)
    copied = pickle.loads(pickle.dumps(work.workspace))
    assert copied.root == work.workspace.root and copied.opened is None and isinstance(copied, Workspace)


def test_the_example_of_the_docs_runs_as_a_script_without_a_main_guard(place, tmp_path):
    """Workers that import the caller's script again would start workers themselves."""
    page = (Path(__file__).parents[2] / "docs/open_workspace.md").read_text()
    lines = [line[4:] for line in page.splitlines() if line.startswith("    ")]
    script = "\n".join(lines).replace('"work"', repr(str(place.root)))
    # The study of this workspace is known by its file only.
    script = script.replace('train("demo/age_ridge")', f'train({str(place.study_file)!r}, "ridge")')
    script = script.replace("film.dcm", str(place.pictures / "000.png")).replace("demo/age_ridge", "s/ridge")
    path = tmp_path / "example.py"
    path.write_text(script + f"\n    print(work.predict('s/ridge', [{str(place.pictures)!r}], jobs=2).predictions)\n")
    assert "work.predict(" in script and "work.train(" in script
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "000.png" in done.stdout and "trouble=''" in done.stdout


def test_a_second_query_is_much_faster_than_a_first(place):
    with xray_mining.open(place.root) as work:
        seconds = []
        for _ in range(6):
            started = time.perf_counter()
            work.sql(QUERY)
            seconds.append(time.perf_counter() - started)
    assert min(seconds[1:]) < seconds[0] / 3
