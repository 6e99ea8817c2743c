"""`predict` on the files of tested images says what the held-out predictions of the same fit say, for every kind."""

import json
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import polars as pl
import pytest
import torch

from xray_mining.application import predict as applying
from xray_mining.application.predict import calibration_of, predict_files
from xray_mining.errors import UserError
from xray_mining.ingest.files import files_at, read_files
from xray_mining.ingest.options import GreyOptions
from xray_mining.ingest.summary import locate
from xray_mining.models import calibration
from xray_mining.models.applied import Experiment, Means, Pictures, fits_of
from xray_mining.models.calibration import CalibrationMap, Curve
from xray_mining.models.embedding import Embeddings
from xray_mining.models.kind import ModelKind
from xray_mining.models.kinds import KINDS, kinds_by_word
from xray_mining.models.stated import with_nulls
from xray_mining.networks.backbones import load_backbone
from xray_mining.pixels.store import store_options
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.predictions import Predictions
from xray_mining.sets.measure import measure

NETWORK = {
    "model": "network",
    "backbone": "test_resnet",
    "side_px": 32,
    "epochs": 1,
    "warmup_epochs": 0,
    "accelerator": "cpu",
    "workers": 0,
}
LINE = CalibrationMap(0, (Curve("line", 31.0, 0.5),))
ODDS = CalibrationMap(2, (Curve("logistic", 1.5, 0.5),))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file as others bring them."""
    path = tmp_path_factory.mktemp("elsewhere") / "net.pth"
    state = load_backbone("test_resnet", side_px=32, seed=3).state_dict()
    torch.save({name.removeprefix("network.model."): tensor for name, tensor in state.items()}, path)
    return path


@pytest.fixture
def every_kind(small: Callable, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """every_kind(kind, expression, found, design): a study with an experiment of every kind, trained."""

    def make(kind: str, expression: str, found: CalibrationMap, design: dict, only: tuple = (), **more: object):
        monkeypatch.setattr(calibration, "calibration_map", lambda *_: found)
        linear = "logistic" if found.classes else "ridge"
        experiments = {
            "linear": {"model": linear, "features": ["f", "g"]},
            "trees": {"model": "boosting", "features": ["f"]},
            "vectors": {"model": "support_vectors", "features": ["g"]},
            "frozen": {"model": "frozen", "embeddings": ["e", "o"], "head": linear, "components": 5},
            "net": NETWORK,
            "mean": {"model": "ensemble", "members": ["linear", "net", "frozen"], "rule": "mean"},
            "stack": {"model": "ensemble", "members": ["linear", "net", "trees"], "rule": "stack"},
            "best": {"model": "ensemble", "members": ["vectors", "mean", "thumb"], "rule": "best"},
            "thumb": {"model": "thumbnail"},
            "pair": {"model": "ensemble", "members": ["linear", "thumb"], "rule": "mean"},
        }
        experiments = {name: each for name, each in experiments.items() if name in (only or experiments)}
        sets = {
            "e": {"backbone": "test_resnet", "weights": "none", "side_px": 32, "batch_size": 7},
            "o": {"backbone": "test_resnet", "weights": str(weights), "weights_licence": "CC0-1.0", "side_px": 32},
        }
        made = small(kind, expression, experiments, embeddings=sets, design={"changed_images": 0} | design, **more)
        cohort = FrozenCohort.load(made.workspace, made.study.cohort_name("c"))
        for key, options in made.study.embeddings.items():
            measure(made.workspace, cohort, key, Embeddings(options))
        nulls = [] if only else sorted(set(with_nulls(made.study.experiments)) - set(experiments))
        made.train(*nulls, *sorted(experiments, key=["mean", "stack", "best", "pair"].__contains__))
        return made

    return make


def held_out(home: Path) -> pl.DataFrame:
    """Tested, unchanged images as the page judges them: fit, unit_key, class, value."""
    frame = Predictions.read(sorted((home / "predictions").glob("*.parquet")))
    assert frame["value_calibrated"].null_count() < frame.height
    fit = pl.format("rotation{}-seed{}", "fold", "seed").alias("fit")
    chosen = frame.filter((pl.col("split") == "test") & (pl.col("variant") == ""))
    return chosen.select(fit, "unit_key", "class", pl.coalesce("value_calibrated", "value").alias("value"))


def original_files(made, keys: list[str]) -> Pictures:
    """What `predict` reads of the original files of these images."""
    given = files_at([Path(locate(made.workspace, key).path) for key in keys])
    grey = GreyOptions.model_validate(store_options(made.workspace, made.workspace.settings.store))
    frames = [frame for some in read_files(given, grey, jobs=1) for frame in some.frames]
    frames.sort(key=lambda each: each.file)
    return Pictures(np.stack([each.picture for each in frames]), np.array([each.box for each in frames]))


CANNOT = {
    "null_centre_c_t": "the same value for every picture",
    "null_metadata_c_t": "columns of the catalog",
}


@pytest.mark.parametrize(
    ("kind", "expression", "found", "design"),
    [
        ("number", "number", LINE, {"seeds": [0, 1]}),
        ("binary positive='odd'", "case when number % 2 = 0 then 'even' else 'odd' end", ODDS, {"rotations": "all"}),
    ],
)
def test_predict_is_the_held_out_prediction_of_the_same_fit(
    every_kind: Callable, weights: Path, kind: str, expression: str, found: CalibrationMap, design: dict
) -> None:
    only = ("linear", "vectors", "frozen", "thumb", "pair") if found.classes else ()
    made = every_kind(kind, expression, found, design, only, cohort={"folds": 3})
    every = with_nulls(made.study.experiments)
    modelled = {options.model for options in every.values()}
    assert only or modelled == kinds_by_word().keys() - {"oracle", "reader", "logistic"}, "a kind is not tried"
    every = {name: every[name] for name in only or every.keys() - CANNOT.keys()}
    judged = {name: held_out(made.workspace.experiment(made.study.study, name)) for name in every}
    keys = sorted({key for frame in judged.values() for key in frame["unit_key"]})
    pictures, means = original_files(made, keys), Means(made.workspace.root, (weights,))
    for name, frame in judged.items():
        experiment = Experiment.at(made.workspace.experiment(made.study.study, name), name)
        fits = fits_of(experiment, means)
        assert set(fits) == set(frame["fit"])
        raw = {fit: applied.of(pictures)[0] for fit, applied in fits.items()}
        # An open workspace keeps fits, and its threads share them.
        shared, first = next(iter(fits.values())), next(iter(raw.values()))
        with ThreadPoolExecutor(8) as pool:
            parts = pool.map(lambda _: shared.of(Pictures(pictures.values, pictures.boxes))[0], range(8))  # noqa: B023
            assert all(np.array_equal(each, first) for each in parts), name
        said = {fit: calibration_of(experiment.notes, fit).of(values) for fit, values in raw.items()}
        for fit, key, label, value in frame.iter_rows():
            mine = said[fit][keys.index(key)]
            # The classes in the order of the target: 'even', 'odd'.
            mine = mine[1] if label == "odd" else mine
            assert mine == pytest.approx(value, rel=1e-4, abs=1e-5), (name, fit)
    for name, why in CANNOT.items() if not only else ():
        with pytest.raises(UserError, match=why):
            predict_files(made.workspace.root, f"{made.study.study}/{name}", [weights])


def test_a_model_is_named_by_experiment_folder_or_file(every_kind: Callable, weights: Path, tmp_path: Path) -> None:
    made = every_kind("number", "number", LINE, {}, ("frozen", "thumb"))
    home = made.workspace.experiment(made.study.study, "frozen")
    key = held_out(home)["unit_key"][0]
    value = held_out(home).filter(unit_key=key)["value"][0]
    file = Path(locate(made.workspace, key).path)
    own = home / "models/rotation0-seed-1.joblib"
    for name in (f"{made.study.study}/frozen", str(home), str(home / "models"), str(own)):
        said = predict_files(made.workspace.root, name, [file], weights=[weights], jobs=1)
        assert said.predictions[0].value == pytest.approx(value, rel=1e-4), name
        assert (said.models, said.calibrated, said.licence) == (1, 1, "CC0-1.0")
    # Away from its workspace the file is enough, but for the map, which is its experiment's.
    alone = tmp_path / "alone.joblib"
    alone.write_bytes(own.read_bytes())
    raw = predict_files(tmp_path, str(alone), [file], weights=[weights], jobs=1)
    assert raw.calibrated == 0 and LINE.of(np.array([raw.predictions[0].value]))[0] == pytest.approx(value, rel=1e-4)
    with pytest.raises(UserError, match=r"net.pth is not found; name it with --weights"):
        predict_files(tmp_path, str(alone), [file])
    other = tmp_path / "other/net.pth"
    other.parent.mkdir()
    other.write_bytes(b"others")
    with pytest.raises(UserError, match="another file than the one it was trained with"):
        predict_files(tmp_path, str(alone), [file], weights=[other])
    with pytest.raises(UserError, match="not a model file"):
        predict_files(tmp_path, str(file), [file])
    with pytest.raises(UserError, match="experiments; name one of them"):
        predict_files(tmp_path, str(home.parent), [file])


def test_models_that_cannot_be_read_are_one_sentence(
    every_kind: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = every_kind("number", "number", LINE, {}, ("linear", "thumb", "pair"))
    home = made.workspace.experiment(made.study.study, "linear")
    own = home / "models/rotation0-seed-1.joblib"
    whole = own.read_bytes()
    content = joblib.load(own)
    file = Path(locate(made.workspace, held_out(home)["unit_key"][0]).path)
    name = f"{made.study.study}/linear"

    def refused(words: str, model: str = name) -> None:
        with pytest.raises(UserError, match=words):
            predict_files(made.workspace.root, model, [file], jobs=1)

    own.write_bytes(whole[:100])
    refused("is not a model file that can be read")
    joblib.dump(content | {"features": {"f": {"families": ["intensity"], "levels": 3}}}, own)
    refused("options are of another version of xray-mining .levels")
    joblib.dump(content | {"features": {"f": content["features"]["f"]}}, own)
    refused("numbers that this version of xray-mining measures")
    joblib.dump(content | {"format": 9}, own)
    refused("has format 9")
    joblib.dump({"x": 1}, own)
    refused("is not a model file")
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.base.__version__", "0.1")
        joblib.dump(content, own)
    refused("was fitted with scikit-learn 0.1")
    load = joblib.load

    def while_another_thread_ignores_warnings(path: Path) -> object:
        warnings.simplefilter("ignore")
        return load(path)

    # Filters belong to all threads, so the check must not be one.
    with warnings.catch_warnings(), monkeypatch.context() as patch:
        patch.setattr("joblib.load", while_another_thread_ignores_warnings)
        refused("was fitted with scikit-learn 0.1")
    own.write_bytes(zlib.compress(own.read_bytes()))
    refused("was fitted with scikit-learn 0.1")
    # An earlier version's file does not say the grey options: its pixel store does.
    joblib.dump({key: value for key, value in content.items() if key != "grey"}, own)
    assert predict_files(made.workspace.root, name, [file], jobs=1).predictions[0].value is not None
    alone = tmp_path / "alone.joblib"
    alone.write_bytes(own.read_bytes())
    with pytest.raises(UserError, match=r"pixel store grey.* is missing"):
        predict_files(tmp_path, str(alone), [file])
    own.unlink()
    refused("the model models/rotation0-seed-1.joblib is missing")
    own.write_bytes(whole)
    # A member that was trained anew is not the one that the weights are of.
    notes = json.loads((home / "experiment.json").read_text())
    (home / "experiment.json").write_text(json.dumps(notes | {"digest": "0" * 32}))
    refused("'linear' was trained again after", f"{made.study.study}/pair")
    (home / "experiment.json").write_text(json.dumps(notes | {"options": {"model": "hologram"}}))
    refused("kind of model")


def test_the_next_kind_of_model_cannot_be_forgotten() -> None:
    own = {name for name, kind in KINDS.every().items() if type(kind).applied is not ModelKind.applied}
    assert own == set(KINDS.names()), "a kind that `predict` neither applies nor refuses with its own sentence"
    assert applying.NOTE
