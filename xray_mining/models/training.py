"""Fit a network: convert the rows of a frozen cohort to the keys and arrays that `networks.training` takes."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xray_mining.errors import UserError
from xray_mining.models.fit import Fit, Fitted
from xray_mining.networks.course import validation_error
from xray_mining.networks.losses import find_loss
from xray_mining.networks.options import TrainingOptions
from xray_mining.networks.training import CHECKPOINT_SECONDS, TrainingData, predict_changed, train
from xray_mining.pixels.store import PixelStore, store_options
from xray_mining.workspace import Workspace, digest_of_frame

__all__ = ["fit_network", "predict_changed"]


def fit_network(
    workspace: Workspace,
    options: TrainingOptions,
    fit: Fit,
    folder: Path,
    *,
    store: PixelStore | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Fitted:
    """Train on the fit's training images with early stopping on validation images; predict validation and test images.

    Files and errors are those of `networks.training.train`; also raises UserError if there is nothing to learn from.
    """
    store = store or PixelStore.open(workspace)
    loss_name, loss = find_loss(
        options.loss, fit.kind.loss, fit.kind.heads, f"the {fit.target.kind} target {fit.target.name}"
    )
    predicted = fit.rows("validation", "test")
    data = TrainingData(
        target=fit.target,
        loss_name=loss_name,
        loss=loss,
        error=partial(validation_error, errors=fit.kind.errors),
        image_keys=fit.keys,
        truths=fit.truths(),
        weights=fit.images["weight"].to_numpy(),
        training=_training_rows(fit),
        validation=fit.rows("validation", labelled=True),
        predicted=predicted,
        digest=digest_of_frame(fit.images),
        rotation=fit.number,
        seed=fit.seed,
    )
    grey = _grey_options(workspace, store)
    values, spread = train(options, data, store, grey, folder, checkpoint_seconds=checkpoint_seconds)
    return Fitted([data.image_keys[row] for row in predicted], values, spread)


def _grey_options(workspace: Workspace, store: PixelStore) -> dict[str, Any]:
    """The grey options of the store's pictures, so that new pictures are made in the same way."""
    known = store_options(workspace, store.name)
    return known or {"side_px": store.side_px, "value_type": store.value_type}


def _training_rows(fit: Fit) -> np.ndarray:
    """Rows to train on; UserError if there is nothing to learn from."""
    rows = fit.rows("train", labelled=True)
    if len(rows) < 2:
        raise UserError(
            f"target {fit.target.name}: rotation {fit.number} has {len(rows)} training images with a known truth; a "
            f"network needs two or more: widen the cohort"
        )
    if reason := fit.kind.untrainable(fit.truths()[rows]):
        raise UserError(
            f"target {fit.target.name}: all training images of rotation {fit.number} {reason}; widen the cohort"
        )
    return rows
