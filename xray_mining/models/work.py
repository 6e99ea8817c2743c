"""Rough seconds of measuring pictures and of fitting models, from sizes that are cheap to know; no digest has them."""

from collections.abc import Sequence
from dataclasses import dataclass

from xray_mining.features.options import FeatureOptions
from xray_mining.models.options import EmbeddingOptions

PROCESS_SECONDS = 2.0
"""What a job takes to start."""
TORCH_SECONDS = 10.0
"""What torch takes to be imported and a backbone to be built."""
GPU_FACTOR = 20.0
"""How much faster a GPU is than two cores."""
_CHANGES = 2
"""Ways in which test pictures are changed and predicted once more (`pixels.variants`)."""
_COLUMNS = 1000
"""Columns of an ordinary set: counting them exactly would import the families, which takes seconds."""

# How long networks train on two cores, in units of an efficientnet_b0: measured where it says so, else by their
# operations an image. The longest beginning of a name counts.
_WEIGHTS = {
    "": 4.0,
    "convnext": 6.0,
    "convnext_atto": 0.4,  # measured
    "convnext_femto": 0.6,
    "convnext_pico": 1.0,
    "densenet": 5.0,
    "efficientnet_b0": 1.0,  # measured
    "googlenet": 2.5,
    "mobilenet": 0.4,
    "mobilenetv4_conv_small": 0.23,  # measured
    "regnetx_002": 0.18,  # measured
    "regnet": 1.0,
    "resnet10t": 0.56,  # measured
    "resnet14t": 1.0,  # measured
    "resnet18": 1.8,  # measured
    "resnet34": 3.5,
    "resnet152": 11.0,
    "resnet101": 7.5,
    "test_": 0.02,
    "tf_efficientnet_lite": 1.0,
    "vit_tiny": 2.0,
    "vit_small": 6.0,
    "vit_base": 18.0,
}


@dataclass(frozen=True, slots=True)
class Work:
    """What a step has to do."""

    kind: str
    """What its time is compared with: its stage, and the model, family or backbone."""
    seconds: float
    """On two ordinary cores, with the start of its process."""
    trains: bool = False
    """It trains a network: its time is the least certain and often the longest, so other answers come first."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is for one experiment to do."""

    images: int
    """Radiographs of its cohort."""
    folds: int
    rotations: int
    seeds: int
    """Seeds of the design."""
    changed_images: int
    """Tested images a rotation, at most, that are predicted again after a change."""
    gpu: bool

    @property
    def changed(self) -> float:
        """Changed pictures that are predicted in one rotation."""
        return _CHANGES * min(self.changed_images, self.images / self.folds)


def small_work(model: str, size: Size) -> Work:
    """The work of a model whose fits take no time worth a guess."""
    return Work(model, PROCESS_SECONDS + 2.0 + 1.0 * size.rotations)


def seconds_to_measure(options: FeatureOptions) -> float:
    """Seconds a picture for a feature set."""
    return 1e-3 * len(options.families) * (0.3 + 1.5 * (options.side_px / 256) ** 2)


def seconds_to_embed(options: EmbeddingOptions, gpu: bool) -> float:
    """Seconds a picture for an embedding set."""
    once = 0.04 * (options.side_px / 224) ** 2 * backbone_cost(options.backbone) / (GPU_FACTOR if gpu else 1.0)
    return once * (2 if options.mirrored else 1)


def backbone_cost(backbone: str) -> float:
    """Time of a backbone in units of an efficientnet_b0."""
    return _WEIGHTS[max((name for name in _WEIGHTS if backbone.startswith(name)), key=len)]


def seconds_to_fit(model: str, size: Size, measuring: Sequence[float], components: int = 0) -> float:
    """Seconds of a scikit-learn model in all rotations.

    `measuring` has the seconds that each of its sets takes for one changed picture; `components` is the number of
    columns after reduction, 0 where all are kept.
    """
    columns, images = components or _COLUMNS * len(measuring), size.images
    if model == "support_vectors":
        fit = 1.0 + 2e-9 * images**2 * columns
    elif model == "boosting":
        fit = 20.0 + 2e-3 * images
    else:
        fit = 1.0 + 2e-9 * images * columns * min(images, columns)
    return size.rotations * (fit + size.changed * sum(measuring))
