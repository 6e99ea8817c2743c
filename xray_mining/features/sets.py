"""Names that models still call; `sets` does the work."""

import polars as pl

from xray_mining.sets.pictures import Pictures
from xray_mining.workspace import Workspace


def pixel_digests(workspace: Workspace) -> pl.DataFrame:
    """image_key and pixel_digest of every radiograph that was ingested, '' where its picture has none."""
    pictures = Pictures.open(workspace)
    return pictures.frame([each.decode() for each in pictures.keys])
