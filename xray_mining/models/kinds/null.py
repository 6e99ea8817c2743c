"""What can be said without seeing the anatomy: every study gets these rows, whatever its author names."""

from typing import Any

import numpy as np
import polars as pl

from xray_mining.errors import UserError
from xray_mining.features.options import FeatureOptions
from xray_mining.models.fit import Fit, Fitted
from xray_mining.records.cohort import Target

Array = np.ndarray[Any, Any]

METADATA = "reports/metadata_of_images"
"""The query whose rows `metadata` takes."""

NULL_MODELS = ("centre", "metadata", "histogram", "thumbnail", "border")

# Pictures are measured small here: these models must not see more than their name says.
_PICTURE_NULLS = {
    "histogram": FeatureOptions(families=["histogram"], regions=["whole"], side_px=128),
    "thumbnail": FeatureOptions(families=["thumbnail"], regions=["whole"], side_px=128, thumbnail_px=32),
    "border": FeatureOptions(families=["border"], regions=["whole"], side_px=128),
}

_LEVELS = 20

_TOLD_BY = {
    "study_year": {"study_day"},
    "aspect": {"rows", "columns"},
    "manufacturer_model_name": {"manufacturer"},
}
"""Columns that are computed from others, or name them: they go where those go."""


def picture_options(model: str) -> FeatureOptions | None:
    """The features a null model reads from the picture; None where it reads none."""
    return _PICTURE_NULLS.get(model)


def centre(fit: Fit) -> Fitted:
    """The median of what is to be learned (the best guess by absolute error), or the share of each class."""
    known = fit.rows("train", "validation", labelled=True)
    weights = fit.images["weight"].to_numpy().astype(np.float64)[known]
    weights = weights if weights.sum() > 0 else np.ones_like(weights)
    said = fit.kind.centre(fit.truths()[known], weights, fit.target)
    rows = fit.rows("validation", "test")
    return Fitted([fit.keys[row] for row in rows], np.repeat(said[None], len(rows), axis=0))


def left_out_of(target: Target) -> tuple[str, ...]:
    """Columns of METADATA that the target is made of, sorted: with them the null would read the answer.

    UserError where an earlier version froze the cohort, which kept no word of it.
    """
    if not target.made_of_from:
        raise UserError(
            f"target {target.name}: an earlier version froze its cohort without what it is made of; freeze the cohort "
            f"again with `xray-mining cohort`"
        )
    made_of = set(target.made_of)
    return tuple(sorted(made_of | {name for name, others in _TOLD_BY.items() if others & made_of}))


def metadata(rows: pl.DataFrame, fit: Fit) -> tuple[Array, list[str]]:
    """What the catalog's rows say of each image, (n, columns) float64 in the order of fit.images, and names.

    Words become one column each (the most frequent twenty of the rotation's training patients), numbers stay, with a
    column that says whether they are known. What the target is made of is left out.
    """
    ordered = pl.DataFrame({"image_key": fit.keys}).join(rows, on="image_key", how="left", maintain_order="left")
    left_out = {"image_key", *left_out_of(fit.target)}
    learned = fit.rows("train", "validation")
    columns: list[Array] = []
    names: list[str] = []
    for name, kind in ordered.schema.items():
        if name in left_out:
            continue
        if kind.is_numeric():
            values = ordered[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            columns += [values, np.isfinite(values).astype(float)]
            names += [name, f"{name}_known"]
            continue
        words = ordered[name].cast(pl.String).fill_null("")
        counts = words.gather(learned).value_counts().sort(["count", name], descending=[True, False])
        for level in counts[name].head(_LEVELS).to_list():
            columns.append((words == level).to_numpy().astype(float))
            names.append(f"{name}={level or 'unknown'}")
    return np.stack(columns, axis=1), names
