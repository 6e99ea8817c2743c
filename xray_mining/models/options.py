"""What a study may say about an experiment; read without torch."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from xray_mining.networks.options import TrainingOptions, WeightsFile
from xray_mining.stated_files import placeless


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


class NetworkOptions(TrainingOptions, Options):
    """A network that is trained here."""

    model: Literal["network"]


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
