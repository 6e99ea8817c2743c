"""Options of experiments, design and embedding sets in a study file; this module does not import torch."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from xray_mining.networks.options import EmbeddingOptions  # noqa: F401 - a study states both
from xray_mining.stated_files import placeless


class Options(BaseModel, extra="forbid", frozen=True):
    """Options of every experiment; each kind of model adds its own in its file of `models/kinds`."""

    model: str = Field(description="word that selects the kind of model")
    cohort: str = Field(description="key of one of the study's cohorts")
    target: str = Field(description="one of the cohort's targets")


class DesignOptions(BaseModel, extra="forbid", frozen=True):
    """The tested rotations, the seeds, and the number of changed images."""

    rotations: Literal["hold_out", "all"] = Field("hold_out", description="rotation 0, or all rotations of the folds")
    seeds: list[int] = Field(
        default=[0], min_length=1, description="one fit for each seed, for models that use random numbers"
    )
    changed_images: int = Field(
        200,
        ge=0,
        description="most test images of a rotation that are predicted again with another window and sharpened; 0 for "
        "none",
    )


def shown_options(options: BaseModel) -> dict[str, Any]:
    """Options without private paths: a weights file is stated by its name, not its folder."""
    return placeless(options)
