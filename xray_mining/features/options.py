"""Options of a study for handcrafted features."""

from typing import Literal

from pydantic import BaseModel, Field


class FeatureOptions(BaseModel, extra="forbid", frozen=True):
    """One feature set: families of features, each over the whole picture and/or a grid of zones."""

    families: list[str] = Field(
        default=["intensity", "cooccurrence", "local_binary_pattern", "gradient_histogram"],
        min_length=1,
        description="registered families",
    )
    regions: list[Literal["whole", "zones"]] = Field(default=["whole", "zones"], min_length=1)
    zone_rows: int = Field(4, ge=1, le=32)
    zone_columns: int = Field(4, ge=1, le=32)
    side_px: int = Field(256, ge=32, le=4096, description="pictures are resized to this before measuring")
    grey_levels: int = Field(32, ge=2, le=256, description="grey levels of the co-occurrence matrix")
    distances_px: list[int] = Field(default=[1, 2, 4], min_length=1, description="co-occurrence distances")
    gradient_cells: list[int] = Field(
        default=[8, 4], min_length=1, description="cells a side of the gradient histograms, one scale each"
    )
    thumbnail_px: int = Field(16, ge=4, le=64, description="both sides of the thumbnail")
