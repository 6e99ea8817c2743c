"""Roughly estimated seconds of measuring pictures and fitting models; they do not enter digests."""

from collections.abc import Sequence
from dataclasses import dataclass

from xray_mining.features.options import FeatureOptions
from xray_mining.models.options import EmbeddingOptions

PROCESS_SECONDS = 2.0
"""Seconds to start a job."""
TORCH_SECONDS = 10.0
"""Seconds to import torch and build a backbone."""
GPU_FACTOR = 20.0
"""Speed of a GPU relative to two cores."""
_CHANGES = 2
"""Number of variants of test pictures that are predicted again (`pixels.variants`)."""
_COLUMNS = 1000
"""Assumed columns of a set; the exact number would need an import of the families, which takes seconds."""

# Training time on two cores relative to efficientnet_b0: measured where it says so, else from the number of operations
# of an image. The longest matching prefix of a name counts.
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
    """Estimated work of a step."""

    kind: str
    """Stage, and model, family or backbone; times of earlier steps of the same kind correct the estimate."""
    seconds: float
    """Seconds on two ordinary cores, with the start of the process."""
    trains: bool = False
    """Whether it trains a network; such steps run last, because their times are the longest and least certain."""


@dataclass(frozen=True, slots=True)
class Size:
    """The numbers on which the work of one experiment depends."""

    images: int
    """Radiographs of its cohort."""
    folds: int
    rotations: int
    seeds: int
    """Seeds of the design."""
    changed_images: int
    """Most test images of a rotation that are predicted again after a change."""
    gpu: bool

    @property
    def changed(self) -> float:
        """Number of changed pictures that are predicted in one rotation."""
        return _CHANGES * min(self.changed_images, self.images / self.folds)


def small_work(model: str, size: Size) -> Work:
    """Work of a model whose fits take very little time."""
    return Work(model, PROCESS_SECONDS + 2.0 + 1.0 * size.rotations)


def seconds_to_measure(options: FeatureOptions) -> float:
    """Seconds for one picture of a feature set."""
    return 1e-3 * len(options.families) * (0.3 + 1.5 * (options.side_px / 256) ** 2)


def seconds_to_embed(options: EmbeddingOptions, gpu: bool) -> float:
    """Seconds for one picture of an embedding set."""
    once = 0.04 * (options.side_px / 224) ** 2 * backbone_cost(options.backbone) / (GPU_FACTOR if gpu else 1.0)
    return once * (2 if options.mirrored else 1)


def backbone_cost(backbone: str) -> float:
    """Time of a backbone relative to efficientnet_b0."""
    return _WEIGHTS[max((name for name in _WEIGHTS if backbone.startswith(name)), key=len)]


def seconds_to_fit(model: str, size: Size, measuring: Sequence[float], components: int = 0) -> float:
    """Seconds of a scikit-learn model in all rotations.

    `measuring` has the seconds that each of its sets needs for one changed picture; `components` is the number of
    columns after reduction, 0 if all are kept.
    """
    columns, images = components or _COLUMNS * len(measuring), size.images
    if model == "support_vectors":
        fit = 1.0 + 2e-9 * images**2 * columns
    elif model == "boosting":
        fit = 20.0 + 2e-3 * images
    else:
        fit = 1.0 + 2e-9 * images * columns * min(images, columns)
    return size.rotations * (fit + size.changed * sum(measuring))
