"""What a study may say about an experiment; read without torch."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from xray_mining.models.weights import SUFFIXES, WORDS
from xray_mining.stated_files import StatedFile, placeless


def _known_weights(weights: str) -> str:
    """Refuses a misspelt word as the study is read, not hours later, when its step begins."""
    if weights in WORDS or Path(weights).suffix:
        return weights
    raise ValueError(f"'{weights}' is none of {', '.join(WORDS)} nor a file that ends in {', '.join(SUFFIXES)}")


WeightsFile = Annotated[str, StatedFile(SUFFIXES), AfterValidator(_known_weights)]


class Options(BaseModel, extra="forbid", frozen=True):
    """What every experiment has."""

    cohort: str = Field(description="key of one of the study's cohorts")
    target: str = Field(description="one of the cohort's targets")


class NullOptions(Options):
    """What is known without looking at the picture's anatomy."""

    model: Literal["centre", "metadata", "histogram", "thumbnail", "border"]


class BaselineOptions(Options):
    """Handcrafted features and a scikit-learn model."""

    model: Literal["ridge", "boosting", "logistic", "support_vectors"]
    features: list[str] = Field(min_length=1, description="keys of the study's feature sets, put side by side")


class FrozenOptions(Options):
    """Vectors of a network that is not trained here, and a linear or kernel model on top."""

    model: Literal["frozen"]
    embeddings: list[str] = Field(min_length=1, description="keys of the study's embedding sets, put side by side")
    head: Literal["ridge", "logistic", "support_vectors"]
    components: int = Field(0, ge=0, description="principal components kept before the head; 0 keeps all")


class AugmentOptions(BaseModel, extra="forbid", frozen=True):
    """Random changes of training images; zero switches one off."""

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


class NetworkOptions(Options):
    """A network that is trained here."""

    model: Literal["network"]
    backbone: str = Field(description="a timm name, or 'googlenet'")
    weights: WeightsFile = Field("none", description="'none', 'timm', 'package', or a file with a state dict")
    weights_licence: str = Field("", description="licence of a weights file; known for 'package' and 'timm'")
    side_px: int = Field(224, ge=32, le=2048)
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    backbone_learning_rate_factor: float = Field(1.0, ge=0, description="0 keeps the backbone as it is")
    weight_decay: float = Field(0.01, ge=0)
    warmup_epochs: float = Field(1.0, ge=0)
    frozen_epochs: int = Field(0, ge=0, description="epochs in which only the head learns, at first")
    patience: int = Field(6, ge=1, description="epochs without a better validation loss before stopping")
    dropout: float = Field(0.2, ge=0, lt=1)
    loss: str = Field("auto", description="name of a registered loss; 'auto' takes the target's default")
    average_weights: float = Field(0.0, ge=0, lt=1, description="decay of an exponential moving average; 0: none")
    augment: AugmentOptions = AugmentOptions()
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = Field(1, ge=1)
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = Field(
        "32-true",
        description="of training on a GPU (32-true convolves in TF32 there); predictions, and the validation that "
        "chooses the epoch, are always in full",
    )
    workers: int | None = Field(
        None, ge=0, description="processes that make batches; left out: none on a CPU, one a core up to 8 on a GPU"
    )


class EnsembleOptions(Options):
    """Other experiments of the study, put together: never by a look at the test patients."""

    model: Literal["ensemble"]
    members: list[str] = Field(min_length=2, description="experiments with the same cohort and target")
    rule: Literal["mean", "best", "stack"] = Field(
        "mean", description="mean of all; the best on validation, by rotation; weights fitted on validation"
    )


class OracleOptions(Options):
    """The phantom's true anatomy as features: the floor that no image model can beat for long."""

    model: Literal["oracle"]
    truths: list[str] = Field(default=[], description="names of true findings; empty takes all anatomical ones")


ExperimentOptions = Annotated[
    NullOptions | BaselineOptions | FrozenOptions | NetworkOptions | EnsembleOptions | OracleOptions,
    Field(discriminator="model"),
]


class EmbeddingOptions(BaseModel, extra="forbid", frozen=True):
    """Vectors of a network that is not trained here."""

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


class DesignOptions(BaseModel, extra="forbid", frozen=True):
    """Who is tested, and how often chance is thrown."""

    rotations: Literal["hold_out", "all"] = Field("hold_out", description="rotation 0, or all rotations of the folds")
    seeds: list[int] = Field(default=[0], min_length=1, description="one fit a seed, for models that draw by chance")
    changed_images: int = Field(
        200,
        ge=0,
        description="tested images a rotation, at most, that are predicted again in another window and sharpened; "
        "0: none",
    )


def shown_options(options: BaseModel) -> dict[str, Any]:
    """Options as they may be written down: a weights file is known by its name and its digest, not by where it lies."""
    return placeless(options)
