"""The kind `null`: models that see no or little anatomy; they are added to every cohort and target of a study."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from xray_mining.errors import UserError
from xray_mining.features.options import FeatureOptions
from xray_mining.models.kind import Inputs, Role, Sight
from xray_mining.models.kinds._catalog import METADATA, left_out_of
from xray_mining.models.kinds._table_kind import TableKind
from xray_mining.models.options import Options, shown_options

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from xray_mining.models.applied import Applied, Experiment, Means
    from xray_mining.models.fit import Fit, Fitted
    from xray_mining.models.task import Task
    from xray_mining.sets.measure import Wanted

    Array = np.ndarray[Any, Any]

NULL_MODELS = ("centre", "metadata", "histogram", "thumbnail", "border")
_SIGHT = {
    "centre": Sight.NOTHING,
    "metadata": Sight.NO_PICTURE,
    "histogram": Sight.TRACES,
    "border": Sight.TRACES,
}

# Pictures are measured small, so that these models do not see more than their names say.
PICTURE_NULLS = {
    "histogram": FeatureOptions(families=["histogram"], regions=["whole"], side_px=128),
    "thumbnail": FeatureOptions(families=["thumbnail"], regions=["whole"], side_px=128, thumbnail_px=32),
    "border": FeatureOptions(families=["border"], regions=["whole"], side_px=128),
}

_LEVELS = 20
"""Most values of a metadata column that become columns of the table."""

_CANNOT_BE_APPLIED = {
    "centre": "is the null model that predicts the same value for every picture; name a model that reads pictures",
    "metadata": "reads columns of the catalog (sex, view, maker, year, …), which a picture alone does not have, and no "
    "pixels; name a model that reads pictures",
}


class NullOptions(Options):
    """Options of a null model."""

    model: Literal["centre", "metadata", "histogram", "thumbnail", "border"]


class NullKind(TableKind[NullOptions]):
    """Models that see no anatomy, or too little of it."""

    name = "null"
    options = NullOptions
    role = Role.NULL
    may_be_best = False

    def by_itself(self, cohort: str, target: str) -> Iterator[NullOptions]:
        """One experiment for each null model."""
        for model in NULL_MODELS:
            yield NullOptions(model=model, cohort=cohort, target=target)

    def sight(self, word: str) -> Sight:
        """A thumbnail shows lungs and heart; the other nulls see less."""
        return _SIGHT.get(word, Sight.ANATOMY)

    def inputs(self, task: "Task[NullOptions]") -> Inputs:
        """The feature set, or the rows of the catalog; the centre reads only the cohort's truths."""
        from xray_mining.workspace import digest_of_frame

        model = task.options.model
        if model in PICTURE_NULLS:
            return Inputs({"pixels": task.members.pixels_digest(), "features": _wanted(task).name})
        if model == "metadata":
            left_out = ", ".join(left_out_of(task.cohort.target(task.options.target)))
            return Inputs({"metadata": digest_of_frame(task.catalog_rows(METADATA)), "left_out": left_out})
        return Inputs({})

    def fit(self, task: "Task[NullOptions]", fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
        """Predict the centre of the known truths, or fit a linear model on a table."""
        from xray_mining.models.baselines import fit_baseline, table_of
        from xray_mining.models.kinds._tables import save
        from xray_mining.sets.measure import measure

        model = task.options.model
        if model == "centre":
            return centre(fit), {}
        picture = PICTURE_NULLS.get(model)
        if picture is None:
            matrix, _ = metadata(task.catalog_rows(METADATA), fit)
        else:

            def measured() -> "Array":
                wanted = _wanted(task)
                measure(task.workspace, task.cohort, wanted.key, wanted.instrument)
                return wanted.read(task.keys())

            matrix = task.matrix(measured)
        if table_of(matrix, fit).lacking():
            # Use the centre instead of raising an error, which would stop a study whose own models can be fitted.
            return centre(fit), {}
        fitted, learned = fit_baseline("", matrix, fit)
        if picture is not None:
            sets = {"features": {f"null_{model}": shown_options(picture)}}
            save(task, fit, {"predictor": learned.predictor, **sets})
        return fitted, learned.chosen

    def applied(self, experiment: "Experiment", means: "Means") -> "dict[str, Applied]":
        """One predictor for each rotation; only for nulls that read pictures."""
        if (reason := _CANNOT_BE_APPLIED.get(experiment.model)) is not None:
            raise UserError(f"{experiment.name}: {reason}")
        return super().applied(experiment, means)


def centre(fit: "Fit") -> "Fitted":
    """The median of the training truths (which minimises the absolute error), or the share of each class."""
    import numpy as np

    from xray_mining.models.fit import Fitted

    known = fit.rows("train", "validation", labelled=True)
    weights = fit.images["weight"].to_numpy().astype(np.float64)[known]
    weights = weights if weights.sum() > 0 else np.ones_like(weights)
    said = fit.kind.centre(fit.truths()[known], weights, fit.target)
    rows = fit.rows("validation", "test")
    return Fitted([fit.keys[row] for row in rows], np.repeat(said[None], len(rows), axis=0))


def _wanted(task: "Task[NullOptions]") -> "Wanted":
    """The set that a null on pictures reads."""
    from xray_mining.features.instrument import Features
    from xray_mining.sets.measure import Wanted

    model = task.options.model
    return Wanted(task.workspace, f"null_{model}", Features(PICTURE_NULLS[model]), task.store)


def metadata(rows: "pl.DataFrame", fit: "Fit") -> "tuple[Array, list[str]]":
    """Metadata of each image from the catalog's rows, (n, columns) float64 in the order of fit.images, and names.

    Each text value becomes a column of 0 and 1 (the twenty most frequent values of the rotation's training patients). A
    number stays, with a second column that says whether it is known. Columns that the target is made of are left out.
    """
    import numpy as np
    import polars as pl

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


KIND = NullKind()
