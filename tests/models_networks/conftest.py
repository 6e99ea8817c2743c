"""A small workspace of drawn pictures whose brightness and blob say the truth."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from xray_mining.models.fit import Fit
from xray_mining.models.kinds.network import NetworkOptions
from xray_mining.networks.options import AugmentOptions
from xray_mining.pixels.store import PixelStore, write_shard
from xray_mining.records.cohort import Target
from xray_mining.records.pixels import Pixels
from xray_mining.workspace import ArchiveSettings, Workspace

SIDE = 32
STORE = "drawn"
NUMBER = Target("age_years", "number", "years")
BINARY = Target("group", "binary", "", "old", ("young", "old"))
GROUP = Target("third", "group", "", "", ("low", "middle", "high"))
ORDINAL = Target("grade", "ordinal", "", "", ("low", "middle", "high"))
LABELS = Target("found", "labels", "", "", ("old", "middle"), policy="uncertain=ignore unknown=ignore least=1")
QUIET = AugmentOptions(
    rotate_degrees=0,
    shift_fraction=0,
    scale_fraction=0,
    brightness=0,
    contrast=0,
    gamma=0,
    blur_probability=0,
    noise_sigma=0,
    erase_probability=0,
)


def key_of(number: int) -> str:
    return str(UUID(int=number + 1))


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (count, SIDE, SIDE) uint8 and ages (count,): an old picture has a wide bright disc."""
    rng = np.random.default_rng(seed)
    ages = rng.uniform(20, 80, count)
    down, across = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    radius = np.hypot(down, across)[None]
    pictures = 40 + 150 * (radius < (ages / 80 * SIDE / 2)[:, None, None]) + rng.normal(0, 8, (count, SIDE, SIDE))
    return pictures.clip(0, 255).astype(np.uint8), ages


def make_workspace(root: Path, count: int) -> tuple[Workspace, np.ndarray]:
    workspace = Workspace.create(root)
    settings = workspace.settings
    archives = {"drawn": ArchiveSettings(domain="drawn", adapter="drawn", order=0)}
    workspace.save(settings.model_copy(update={"store": STORE, "archives": archives}))
    pictures, ages = draw(count, seed=1)
    rows = []
    with write_shard(workspace, STORE, "drawn", 0) as writer:
        for number, picture in enumerate(pictures):
            rows.append(
                {
                    "image_key": key_of(number),
                    "store": STORE,
                    "archive": "drawn",
                    "shard": 0,
                    "offset": writer.append(picture),
                    "side_px": SIDE,
                    "value_type": "uint8",
                    "content_left": 0.0,
                    "content_top": 0.0,
                    "content_width": float(SIDE),
                    "content_height": float(SIDE),
                    "window_source": "full_range",
                    "inverted": False,
                    "clipped_fraction": 0.0,
                    "decoder": "drawn",
                }
            )
    Pixels.write(Pixels.from_rows(rows), workspace.parts("drawn", "pixels") / "00000.parquet")
    return workspace, ages


def make_fit(ages: np.ndarray, target: Target, seed: int = 0) -> Fit:
    """Half train, a quarter validation, a quarter test."""
    numbers = np.arange(len(ages))
    role = np.array(["train", "validation", "train", "test"])[numbers % 4]
    if target.kind == "binary":
        label = np.where(ages > 50, "old", "young").tolist()
        truth = (ages > 50).astype(float)
    elif target.kind in ("group", "ordinal"):
        label = np.array(["low", "middle", "high"])[np.digitize(ages, [40, 60])].tolist()
        truth = np.full(len(ages), np.nan)
    else:
        label, truth = [None] * len(ages), ages
    truths = pl.Series(truth).fill_nan(None)
    if target.kind == "labels":
        # Every fifth image has no answer for the second label.
        middle = np.where(numbers % 5 == 4, np.nan, (ages > 40) & (ages <= 60))
        truths = pl.Series(np.stack([ages > 50, middle], axis=1).astype(float), dtype=pl.Array(pl.Float64, 2))
    images = pl.DataFrame(
        {
            "image_key": [key_of(number) for number in numbers],
            "patient_key": [key_of(number) for number in numbers],
            "study_key": [key_of(number) for number in numbers],
            "weight": np.ones(len(ages)),
            "role": role,
            "truth": truths,
            "label": pl.Series(label, dtype=pl.String),
        }
    )
    return Fit(0, seed, target, images)


def options_of(**changes: object) -> NetworkOptions:
    """A very small network, quickly trained, on the CPU."""
    plain = {
        "cohort": "c",
        "target": "t",
        "model": "network",
        "backbone": "test_resnet",
        "side_px": SIDE,
        "epochs": 3,
        "batch_size": 8,
        "learning_rate": 3e-3,
        "accelerator": "cpu",
    }
    return NetworkOptions.model_validate({**plain, **changes})


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, np.ndarray]:
    """A workspace with 64 drawn pictures and their ages."""
    return make_workspace(tmp_path_factory.mktemp("drawn") / "workspace", 64)


@pytest.fixture(scope="session")
def drawn_store(drawn: tuple[Workspace, np.ndarray]) -> PixelStore:
    return PixelStore.open(drawn[0])


@pytest.fixture(scope="session")
def fit_of(drawn: tuple[Workspace, np.ndarray]) -> Callable[..., Fit]:
    """A fit of the drawn pictures on a kind of target."""
    targets = {each.kind: each for each in (NUMBER, BINARY, GROUP, ORDINAL, LABELS)}
    return lambda kind="number", seed=0, count=64: make_fit(drawn[1][:count], targets[kind], seed)


@pytest.fixture(scope="session")
def network_options() -> Callable[..., NetworkOptions]:
    return options_of


@pytest.fixture(scope="session")
def no_augmentation() -> AugmentOptions:
    return QUIET
