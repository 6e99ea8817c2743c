"""What a study may say about every experiment, the design and embedding sets; read without torch."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from xray_mining.networks.options import EmbeddingOptions  # noqa: F401 - a study states both
from xray_mining.stated_files import placeless


class Options(BaseModel, extra="forbid", frozen=True):
    """What every experiment has; each kind of model adds its own in its file of `models/kinds`."""

    model: str = Field(description="word that names the kind of model")
    cohort: str = Field(description="key of one of the study's cohorts")
    target: str = Field(description="one of the cohort's targets")


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
