"""What a study may say about every experiment, the design and embedding sets; read without torch."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from xray_mining.networks.options import WeightsFile
from xray_mining.stated_files import placeless


class Options(BaseModel, extra="forbid", frozen=True):
    """What every experiment has; each kind of model adds its own in its file of `models/kinds`."""

    model: str = Field(description="word that names the kind of model")
    cohort: str = Field(description="key of one of the study's cohorts")
    target: str = Field(description="one of the cohort's targets")


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
