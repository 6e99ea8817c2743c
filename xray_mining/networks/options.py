"""Options of networks and their training in a study file; this module does not import torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field

from xray_mining.networks.weights import SUFFIXES, WORDS
from xray_mining.stated_files import StatedFile


def _known_weights(weights: str) -> str:
    """Refuse a misspelt word when the study is read, not hours later when its step begins."""
    if weights in WORDS or Path(weights).suffix:
        return weights
    raise ValueError(f"'{weights}' is neither one of {', '.join(WORDS)} nor a file that ends in {', '.join(SUFFIXES)}")


WeightsFile = Annotated[str, StatedFile(SUFFIXES), AfterValidator(_known_weights)]


class AugmentOptions(BaseModel, extra="forbid", frozen=True):
    """Random changes of training images; zero switches a change off."""

    rotate_degrees: float = Field(7.0, ge=0, le=180)
    shift_fraction: float = Field(0.05, ge=0, le=0.5)
    scale_fraction: float = Field(0.08, ge=0, le=0.5)
    brightness: float = Field(0.1, ge=0, le=1)
    contrast: float = Field(0.1, ge=0, le=1)
    gamma: float = Field(0.1, ge=0, lt=1)
    blur_probability: float = Field(0.1, ge=0, le=1)
    noise_sigma: float = Field(0.02, ge=0, le=1, description="of the grey range")
    erase_probability: float = Field(0.1, ge=0, le=1)
    flip_probability: float = Field(0.0, ge=0, le=1, description="left-right; it destroys the heart's side")


class TrainingOptions(BaseModel, extra="forbid", frozen=True):
    """A network and its training, without its cohort and target."""

    backbone: str = Field(description="a timm name, or 'googlenet'")
    weights: WeightsFile = Field("none", description="'none', 'timm', 'package', or a file with a state dict")
    weights_licence: str = Field("", description="licence of a weights file; known for 'package' and 'timm'")
    side_px: int = Field(224, ge=32, le=2048)
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    backbone_learning_rate_factor: float = Field(1.0, ge=0, description="0 freezes the backbone")
    weight_decay: float = Field(0.01, ge=0)
    warmup_epochs: float = Field(1.0, ge=0)
    frozen_epochs: int = Field(0, ge=0, description="first epochs, in which only the head is trained")
    patience: int = Field(6, ge=1, description="epochs without a better validation loss before stopping")
    dropout: float = Field(0.2, ge=0, lt=1)
    loss: str = Field("auto", description="name of a registered loss; 'auto' takes the target's default")
    average_weights: float = Field(0.0, ge=0, lt=1, description="decay of an exponential moving average; 0: none")
    augment: AugmentOptions = AugmentOptions()
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = Field(1, ge=1)
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = Field(
        "32-true",
        description="precision of training on a GPU (32-true uses TF32 convolutions there); predictions and validation "
        "always use full precision",
    )
    workers: int | None = Field(
        None, ge=0, description="processes that make batches (default: 0 on a CPU, one per core up to 8 on a GPU)"
    )

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> Self:
        """The training options in `stated`, which may have further keys (cohort, target)."""
        return cls.model_validate({name: stated[name] for name in cls.model_fields if name in stated})


class EmbeddingOptions(BaseModel, extra="forbid", frozen=True):
    """Options of a set of vectors from a frozen network."""

    backbone: str = Field("tf_efficientnet_lite0", description="a timm name, or 'googlenet'")
    weights: WeightsFile = Field("package", description="'none', 'timm', 'package', or a file with a state dict")
    weights_licence: str = Field("", description="licence of a weights file; known for 'package' and 'timm'")
    side_px: int = Field(320, ge=32, le=2048)
    stages: list[int] = Field(default=[-1], description="feature stages that are pooled, counted from the last: -1")
    statistics: list[Literal["mean", "deviation", "maximum"]] = ["mean"]
    grid: int = Field(0, ge=0, le=16, description="cells a side of a coarse grid of some stages; 0: none")
    grid_stages: list[int] = Field(default=[-1], description="stages whose maps are averaged over the grid's cells")
    mirrored: bool = Field(False, description="mean of the vectors of the picture and of its mirror image")
    batch_size: int = Field(32, ge=1)
