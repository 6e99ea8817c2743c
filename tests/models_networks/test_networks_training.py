"""Fits of tiny networks: they learn, end cleanly, go on to the same bits, and can be applied to new files."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import polars as pl
import pytest
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from pytorch_lightning.trainer import trainer as lightning_trainer
from pytorch_lightning.utilities.seed import isolate_rng

from xray_mining.application.predict import predict_files
from xray_mining.errors import CannotFinish, UserError
from xray_mining.models.embedding import Embeddings
from xray_mining.models.targets import TARGETS
from xray_mining.models.training import fit_network
from xray_mining.networks import course, device, training
from xray_mining.networks.chance import seeded
from xray_mining.networks.data import BatchNumbers, Radiographs, Schedule
from xray_mining.networks.device import workers_of
from xray_mining.networks.embedder import Embedder
from xray_mining.networks.heads import Range
from xray_mining.networks.losses import find_loss
from xray_mining.networks.module import Learner, Supervised, make_network
from xray_mining.networks.options import EmbeddingOptions
from xray_mining.networks.prediction import load_model
from xray_mining.networks.registry import loss
from xray_mining.records.cohort import Target
from xray_mining.sets.measure import measure

KINDS = [
    (name, next(each for each, kind in TARGETS.every().items() if loss.find(name)().head in kind.heads))
    for name in loss.names()
]
# The program of the kill test: trains the same fit, dies at a given step, prints the digest of what it predicts.
PROGRAM = """
import hashlib, importlib.util, os, pathlib, signal, sys
spec = importlib.util.spec_from_file_location("drawn", sys.argv[1])
drawn = importlib.util.module_from_spec(spec)
spec.loader.exec_module(drawn)
import albumentations, timm
from xray_mining.models import training
from xray_mining.networks import module
from xray_mining.workspace import Workspace
root, homes = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
step = module.Learner.training_step
def deadly(self, *given):
    if self.step == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *given)
module.Learner.training_step = deadly
for name, die_at in [(each.split("@")[0], int(each.split("@")[1])) for each in sys.argv[4:]]:
    if os.fork() == 0:
        fit = drawn.make_fit(drawn.draw(64, seed=1)[1], drawn.NUMBER)
        options = drawn.options_of(epochs=3, average_weights=0.9, dropout=0.3, frozen_epochs=1)
        seconds = 0 if name == "killed" else 99
        fitted = training.fit_network(Workspace(root), options, fit, homes / name, checkpoint_seconds=seconds)
        print(hashlib.sha256(fitted.values.tobytes() + fitted.spread.tobytes()).hexdigest(), flush=True)
        os._exit(0)
    print("status", os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_every_loss_learns_eight_images_by_heart(name, kind, drawn, fit_of, network_options, no_augmentation, tmp_path):
    fit = fit_of(kind)
    # The same eight images train, validate and are tested: what is asked is whether the loss leads to the truth.
    eight = fit.images.head(48).filter(fit.images.head(48)["role"] == "train").head(8)
    images = [eight.with_columns(role=pl.lit(r)) for r in ("train", "validation")]
    both = type(fit)(0, 0, fit.target, pl.concat(images))
    options = network_options(
        epochs=40, patience=40, loss=name, dropout=0, augment=no_augmentation, learning_rate=0.003, weight_decay=0
    )
    fitted = fit_network(drawn[0], options, both, tmp_path)
    truth = both.truths()[both.rows("validation")]
    if fit.target.policy:
        known = np.isfinite(truth)
        assert ((fitted.values > 0.5) == (truth > 0.5))[known].mean() >= 7 / 8
    elif fitted.values.ndim == 2:
        assert (fitted.values.argmax(1) == truth).mean() >= 7 / 8
        assert np.allclose(fitted.values.sum(1), 1)
    else:
        assert np.abs(fitted.values - truth).mean() < 0.5 * np.abs(truth - truth.mean()).mean()


def test_a_finished_fit_leaves_one_model_that_says_the_same_again(
    drawn, fit_of, network_options, tmp_path, monkeypatch
):
    fit, options = fit_of("number"), network_options(epochs=2)
    fitted = fit_network(drawn[0], options, fit, tmp_path)
    home = tmp_path / "rotation0-seed0"
    assert sorted(each.name for each in home.iterdir()) == ["model.json", "model.pt"]
    assert fitted.image_keys == [fit.keys[row] for row in fit.rows("validation", "test")]
    assert fitted.spread is not None and (fitted.spread >= 0).all()
    facts = json.loads((home / "model.json").read_text())
    assert facts["licence"] == "" and len(facts["course"]["history"]) == 2 and facts["versions"]["torch"]
    monkeypatch.setattr(Learner, "training_step", None)
    again = fit_network(drawn[0], options, fit, tmp_path)
    assert (again.values == fitted.values).all(), "a second call predicts and trains nothing"
    saved = load_model(home / "model.pt")
    from xray_mining.pixels.store import PixelStore

    values, _ = saved.predict(PixelStore.open(drawn[0]).read(fitted.image_keys))
    assert np.allclose(values, fitted.values, atol=1e-4)
    assert saved.target == fit.target


def test_no_file_of_a_fit_says_where_its_weights_lay(drawn, network_options, fit_of, tmp_path):
    from xray_mining.networks.backbones import load_backbone

    weights = tmp_path / "private_place/net.pth"
    weights.parent.mkdir()
    state = load_backbone("test_resnet", side_px=32, seed=3).state_dict()
    torch.save({name.removeprefix("network.model."): tensor for name, tensor in state.items()}, weights)
    options = network_options(epochs=1, weights=str(weights), weights_licence="CC0-1.0")
    fit_network(drawn[0], options, fit_of("number", count=16), tmp_path / "fit")
    files = [path for path in (tmp_path / "fit").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"model.json", "model.pt"}
    assert not [path.name for path in files if b"private_place" in path.read_bytes()]
    assert load_model(tmp_path / "fit/rotation0-seed0/model.pt").options.weights == "net.pth"


def test_other_options_train_anew(drawn, fit_of, network_options, tmp_path):
    first = fit_network(drawn[0], network_options(epochs=1), fit_of("number"), tmp_path)
    other = fit_network(drawn[0], network_options(epochs=1, learning_rate=1e-4), fit_of("number"), tmp_path)
    assert (first.values != other.values).any()


def test_two_workers_and_none_train_to_the_same_bits(drawn, fit_of, network_options, tmp_path):
    plain = fit_network(drawn[0], network_options(epochs=1), fit_of("number"), tmp_path / "0")
    helped = fit_network(drawn[0], network_options(epochs=1, workers=2), fit_of("number"), tmp_path / "2")
    assert (plain.values == helped.values).all()


@pytest.mark.soak
def test_two_threads_train_to_the_bits_of_one_after_the_other(drawn, fit_of, network_options, tmp_path, monkeypatch):
    """Each step draws the numbers of its own seed, also if another thread takes a step or loads a network meanwhile."""
    step, seeds = Learner.training_step, (0, 1)

    def slow(self, *given):
        time.sleep(0.01)
        return step(self, *given)

    monkeypatch.setattr(Learner, "training_step", slow)

    def fitted(seed, home):
        options = network_options(epochs=1, dropout=0.5)
        return fit_network(drawn[0], options, fit_of("number", seed), tmp_path / home).values

    serial = [fitted(seed, "serial") for seed in seeds]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(len(seeds)) as pool:
        together = list(pool.map(fitted, seeds, ["threads"] * len(seeds)))
    assert all((mine == other).all() for mine, other in zip(together, serial, strict=True))
    assert torch.equal(torch.get_rng_state(), before), "the process's own random numbers go on as before"


def test_two_threads_train_alike_in_a_process_of_their_own():
    """The test above in a new process: within the whole suite it failed twice, in a process of other tests.

    A race with Lightning's own saving of the random state was found and mended since (see the next test).
    """
    apart = ("PYTEST_XDIST", "PYTEST_CURRENT_TEST")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(apart)}
    test = f"{__file__}::test_two_threads_train_to_the_bits_of_one_after_the_other"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "soak", "-p", "no:cacheprovider", test]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


def test_lightning_saves_no_random_state_in_the_middle_of_another_threads_step():
    before, inside = torch.get_rng_state(), threading.Event()

    def saved_and_restored():
        with training._quiet_lightning(), lightning_trainer.isolate_rng():
            inside.set()

    with ThreadPoolExecutor(1) as pool:
        with seeded(5):
            torch.rand(3)
            waiting = pool.submit(saved_and_restored)
            assert not inside.wait(0.3)
        waiting.result(timeout=30)
    assert inside.is_set() and torch.equal(torch.get_rng_state(), before)
    assert lightning_trainer.isolate_rng is isolate_rng, "another program's Lightning is as before"


def test_a_killed_fit_goes_on_to_the_same_bits(drawn, tmp_path):
    conftest = Path(__file__).with_name("conftest.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # 12 steps of 4 an epoch: killed never; within the first epoch, between the second and third.
    fits = ["whole@99", "killed@2", "killed@8", "killed@99"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(conftest), str(drawn[0].root), str(tmp_path), *fits],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    said = done.stdout.split("\n")
    assert said[1] == "status 0"
    assert said[2:4] == [f"status {-signal.SIGKILL}"] * 2
    assert said[4] == said[0], "the same digest as the fit that was never killed"
    assert len(said[0]) == len(hashlib.sha256().hexdigest())


def test_ctrl_c_ends_and_the_next_call_goes_on(drawn, fit_of, network_options, tmp_path, monkeypatch):
    whole = fit_network(drawn[0], network_options(), fit_of("number"), tmp_path / "whole")
    step = Learner.training_step
    handler = signal.getsignal(signal.SIGINT)

    def interrupted(self, *given):
        if self.step == 5:
            raise KeyboardInterrupt
        return step(self, *given)

    monkeypatch.setattr(Learner, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_network(drawn[0], network_options(), fit_of("number"), tmp_path / "broken", checkpoint_seconds=0)
    assert signal.getsignal(signal.SIGINT) == handler
    assert (tmp_path / "broken/rotation0-seed0/last.ckpt").is_file()
    monkeypatch.setattr(Learner, "training_step", step)
    rest = fit_network(drawn[0], network_options(), fit_of("number"), tmp_path / "broken", checkpoint_seconds=0)
    assert (rest.values == whole.values).all()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", "cut", "list"])
def test_a_damaged_checkpoint_is_said_and_training_starts_again(tmp_path, capfd, content):
    path = tmp_path / "rotation0-seed0/last.ckpt"
    path.parent.mkdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save([torch.ones(500)] if content == "list" else {"identity": "mine", "step": 7}, path)
    if content == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    assert not _watch_of(path.parent).resume(None)
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("rotation0-seed0/last.ckpt: cannot be read (")
    assert said[0].endswith("training starts from its first epoch")


def test_a_checkpoint_that_the_disk_does_not_give_is_not_trained_anew(tmp_path, capfd, monkeypatch):
    torch.save({"identity": "another's"}, tmp_path / "last.ckpt")
    assert not _watch_of(tmp_path).resume(None) and not capfd.readouterr().err, "another fit's is no damage"

    def failing(*given, **named):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(torch, "load", failing)
    with pytest.raises(CannotFinish, match=r"last.ckpt: cannot be read \(Input/output error\).*repeat the same"):
        _watch_of(tmp_path).resume(None)


def _watch_of(home: Path) -> course.Watch:
    return course.Watch(None, None, home, "mine", 0.0)


def test_a_full_disk_is_one_sentence(drawn, fit_of, network_options, tmp_path, monkeypatch):
    open_for_writing = Path.open

    def full(path, mode="r", *given, **named):
        # /dev/full refuses as a full disk does, so that torch itself meets the error.
        return open_for_writing(Path("/dev/full") if mode == "wb" else path, mode, *given, **named)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(CannotFinish, match="No space left on device"):
        fit_network(drawn[0], network_options(epochs=1), fit_of("number"), tmp_path)
    assert not list(tmp_path.rglob("*.partial"))


def test_patience_ends_a_fit_early(drawn, fit_of, network_options, tmp_path):
    options = network_options(epochs=30, patience=2, learning_rate=1e-9)
    fit_network(drawn[0], options, fit_of("number"), tmp_path)
    course = json.loads((tmp_path / "rotation0-seed0/model.json").read_text())["course"]
    assert len(course["history"]) < 30 and course["ended"]


def test_a_held_backbone_keeps_its_weights(drawn, fit_of, network_options, tmp_path):
    options = network_options(epochs=2, backbone_learning_rate_factor=0)
    fit_network(drawn[0], options, fit_of("binary"), tmp_path)
    saved = load_model(tmp_path / "rotation0-seed0/model.pt")
    from xray_mining.networks.backbones import load_backbone

    fresh = load_backbone("test_resnet", side_px=32, seed=0).state_dict()
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in saved.network.backbone.state_dict().items())


@pytest.mark.parametrize("changes", [{"batch_size": 1}, {"batch_size": 500}, {"backbone": "test_vit"}])
def test_unusual_batches_and_backbones_train(changes, drawn, fit_of, network_options, tmp_path):
    fitted = fit_network(drawn[0], network_options(epochs=1, **changes), fit_of("group", count=24), tmp_path)
    assert fitted.values.shape == (12, 3)


def test_no_validation_images_train_to_the_end(drawn, fit_of, network_options, tmp_path):
    fit = fit_of("number", count=24)
    images = fit.images.with_columns(role=pl.col("role").replace("validation", "train"))
    fitted = fit_network(drawn[0], network_options(epochs=2), type(fit)(0, 0, fit.target, images), tmp_path)
    assert len(fitted.image_keys) == 6


def test_nothing_to_learn_from_is_said(drawn, fit_of, network_options, tmp_path):
    fit = fit_of("binary")
    alone = type(fit)(0, 0, fit.target, fit.images.with_columns(truth=pl.lit(1.0)))
    with pytest.raises(UserError, match="are of one class"):
        fit_network(drawn[0], network_options(), alone, tmp_path)
    unknown = type(fit)(0, 0, fit.target, fit.images.with_columns(truth=pl.lit(None), label=pl.lit(None, pl.String)))
    with pytest.raises(UserError, match="needs two or more"):
        fit_network(drawn[0], network_options(), unknown, tmp_path)
    with pytest.raises(UserError, match="cannot share batches"):
        fit_network(drawn[0], network_options(devices=16), fit, tmp_path)
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="'gpu' is requested but none was found"):
            fit_network(drawn[0], network_options(accelerator="gpu"), fit, tmp_path)


@pytest.mark.parametrize("precision", ["32-true", "16-mixed", "bf16-mixed"])
def test_a_gpu_trains_where_there_is_one(precision, drawn, fit_of, network_options, drawn_store, tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    options = network_options(accelerator="gpu", precision=precision)
    fitted = fit_network(drawn[0], options, fit_of("number"), tmp_path)
    saved = load_model(tmp_path / "rotation0-seed0/model.pt")
    values, _ = saved.predict(drawn_store.read(fitted.image_keys))
    assert np.abs(values - fitted.values).max() < 1e-3, "years; the GPU's predictions are the CPU's"


def test_half_precision_trains(drawn, fit_of, network_options, tmp_path, monkeypatch):
    plain = fit_network(drawn[0], network_options(epochs=1), fit_of("number"), tmp_path / "plain")
    # Only GPUs are given it (see `_trainer`), but a CPU can show that optimizer, clipping and losses bear it.
    trainer = training.lightning.Trainer
    monkeypatch.setattr(training.lightning, "Trainer", lambda **given: trainer(**{**given, "precision": "bf16-mixed"}))
    fitted = fit_network(drawn[0], network_options(epochs=1, precision="bf16-mixed"), fit_of("number"), tmp_path)
    assert 0 < np.abs(fitted.values - plain.values).max() < 5


@pytest.mark.parametrize("precision", ["16-mixed", "bf16-mixed"])
def test_gradients_are_clipped_in_half_precision(precision, drawn, network_options):
    learner = _learner(network_options(precision=precision))
    scaler = torch.amp.GradScaler("cpu") if precision == "16-mixed" else None
    optimizer = learner.configure_optimizers()
    for each in learner.parameters():
        each.grad = torch.ones_like(each)
    MixedPrecision(precision, "cpu", scaler).clip_gradients(optimizer, 1.0)
    assert torch.linalg.vector_norm(learner.network.head.layer.bias.grad) < 1


def test_the_loss_is_in_single_precision(drawn_store, network_options):
    learner = _learner(network_options(precision="bf16-mixed", dropout=0))
    keys = drawn_store.frame["image_key"].to_list()[:8]
    truths = np.linspace(60, 80, 8)
    batch = Radiographs(drawn_store, keys, truths, np.ones(8), 32)[BatchNumbers(0, np.arange(8), 0, 1)]
    with torch.autocast("cpu", torch.bfloat16):
        loss = learner.training_step(batch, 0)
        raw = learner.network(batch.images)
    assert raw.dtype == torch.bfloat16
    alone = (learner.objective.loss.compute(raw.float(), batch.truths, learner.network.head) * batch.shares).sum()
    assert loss.dtype == torch.float32 and torch.equal(loss, alone)


def _learner(options):
    _, chosen = find_loss("auto", "soft_labels", ["distribution"], "an age")
    network = make_network(options, chosen.head, Target("age_years", "number"), Range(51.3, 15.0, 20.0, 80.0), 0)
    return Learner(network, Supervised(chosen), options, Schedule(8, 8, 1, 0))


def test_a_process_told_to_end_says_so(drawn, fit_of, network_options, tmp_path, monkeypatch):
    step = Learner.training_step

    def told(self, *given):
        if self.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *given)

    monkeypatch.setattr(Learner, "training_step", told)
    with pytest.raises(SystemExit) as ended:
        fit_network(drawn[0], network_options(), fit_of("number"), tmp_path, checkpoint_seconds=0)
    assert ended.value.code == 143 and (tmp_path / "rotation0-seed0/last.ckpt").is_file()


def test_a_gpu_is_fed_by_processes_that_have_room(network_options, monkeypatch):
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    free = SimpleNamespace(free=10**12)
    monkeypatch.setattr(device.shutil, "disk_usage", lambda _: free)
    assert workers_of(network_options(workers=3), cpu) == 3
    assert workers_of(network_options(), cpu) == 0 and workers_of(network_options(), gpu) == 8
    assert workers_of(network_options(devices=4), gpu) == 4
    free.free = 64 * 2**20
    assert workers_of(network_options(batch_size=32, side_px=512), gpu) == 2
    assert workers_of(network_options(batch_size=256, side_px=512), gpu) == 0


def test_a_gpu_without_memory_is_one_sentence(drawn, drawn_store, fit_of, network_options, tmp_path, monkeypatch):
    def full(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")

    sentence = "test_resnet: the GPU has too little memory for batches of 8 images of 32 pixels; lower batch_size"
    monkeypatch.setattr(Learner, "training_step", full)
    with pytest.raises(CannotFinish, match=sentence):
        fit_network(drawn[0], network_options(), fit_of("number"), tmp_path)
    monkeypatch.setattr(Embedder, "vectors", full)
    embedding = EmbeddingOptions(backbone="test_resnet", weights="none", side_px=32, batch_size=8)
    cohort = SimpleNamespace(store="", name="c", digest="d", members=lambda: drawn_store.frame)
    with pytest.raises(CannotFinish, match=sentence):
        measure(drawn[0], cohort, "small", Embeddings(embedding))


def test_tf32_is_off_while_predictions_are_made():
    torch.backends.cudnn.allow_tf32 = True
    with pytest.raises(ValueError), device.full_precision():
        assert not torch.backends.cudnn.allow_tf32
        raise ValueError
    assert torch.backends.cudnn.allow_tf32


def test_on_a_gpu_a_step_of_training_and_predictions_take_turns(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    said = []

    def predict():
        with device.full_precision(), device.full_precision():
            said.append("predicted")

    with device.training_precision():
        other = threading.Thread(target=predict)
        other.start()
        other.join(0.2)
        said.append("trained")
    other.join()
    assert said == ["trained", "predicted"]


def test_the_epoch_is_chosen_in_the_precision_of_predictions(drawn, fit_of, network_options, tmp_path, monkeypatch):
    whole, rounds = course.predict_dataset, []

    def noted(*args, **more):
        rounds.append(torch.backends.cudnn.allow_tf32)
        return whole(*args, **more)

    monkeypatch.setattr(course, "predict_dataset", noted)
    torch.backends.cudnn.allow_tf32 = True
    fit_network(drawn[0], network_options(epochs=1), fit_of("number"), tmp_path)
    assert rounds == [False]
    assert torch.backends.cudnn.allow_tf32


def test_predict_takes_files_and_names_what_it_cannot_read(drawn, fit_of, network_options, tmp_path):
    home = drawn[0].experiment("drawn", "disc")
    fit_network(drawn[0], network_options(epochs=12, learning_rate=0.01), fit_of("number"), home / "models")
    from xray_mining.pixels.store import PixelStore

    fit = fit_of("number")
    test = fit.rows("test")
    for row in test[:4]:
        picture = PixelStore.open(drawn[0]).read([fit.keys[row]])[0]
        cv2.imwrite(str(tmp_path / f"{row:03d}.png"), picture)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "zero.dcm").write_bytes(b"")
    summary = predict_files(drawn[0].root, "drawn/disc", [tmp_path, tmp_path / "absent.png"])
    assert summary.target == "age_years" and summary.models == 1 and "not for diagnosis" in summary.lines()[-1]
    troubles = {each.file: each.trouble for each in summary.predictions if each.trouble}
    assert set(troubles) == {str(tmp_path / name) for name in ("notes.txt", "zero.dcm", "absent.png")}
    assert all(sentence.endswith(".") for sentence in troubles.values())
    assert troubles[str(tmp_path / "notes.txt")].startswith("The file is neither DICOM nor a PNG, JPEG")
    read = [each for each in summary.predictions if not each.trouble]
    assert len(read) == 4 and all(each.spread is not None for each in read)
    assert summary.csv().splitlines()[0] == "file,frame,age_years,spread,flags,reason,trouble"
    for name, status in (("notes.txt", 1), (f"{test[0]:03d}.png", 0)):
        ended = subprocess.run(
            [sys.executable, "-m", "xray_mining", "predict", str(home), str(tmp_path / name)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == status and ("none could be read" in ended.stderr) == bool(status), ended.stderr
    with pytest.raises(UserError, match="did you mean 'drawn/disc'"):
        predict_files(drawn[0].root, "drawn/disk", [tmp_path])
    (home / "models/rotation0-seed0/model.pt").rename(tmp_path / "kept.pt")
    with pytest.raises(UserError, match="has no trained network"):
        predict_files(drawn[0].root, "drawn/disc", [tmp_path])
    assert predict_files(tmp_path, str(tmp_path / "kept.pt"), [tmp_path / f"{test[0]:03d}.png"]).predictions[0].value
    (tmp_path / "kept.pt").write_bytes(b"broken")
    with pytest.raises(UserError, match="is not a model file"):
        predict_files(tmp_path, str(tmp_path / "kept.pt"), [tmp_path])
