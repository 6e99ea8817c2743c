"""The kind `oracle`: a model on the phantom's true anatomy, which shows how well exact measurements predict."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from xray_mining.errors import UserError, unknown_name
from xray_mining.models.kind import Inputs, ModelKind, Role
from xray_mining.models.kinds._catalog import METADATA, TRUTHS, left_out_of
from xray_mining.models.options import Options

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from xray_mining.models.applied import Applied, Experiment, Means
    from xray_mining.models.fit import Fit, Fitted
    from xray_mining.models.task import Task

    Array = np.ndarray[Any, Any]


class OracleOptions(Options):
    """Options of a model on the phantom's true anatomy; its error is about the least that an image model can reach."""

    model: Literal["oracle"]
    truths: list[str] = Field(default=[], description="names of true findings; empty takes all anatomical ones")


class OracleKind(ModelKind[OracleOptions]):
    """A linear model on the phantom's true measures, their squares and products."""

    name = "oracle"
    options = OracleOptions
    role = Role.ORACLE
    may_be_best = False

    def inputs(self, task: "Task[OracleOptions]") -> Inputs:
        """The truths and metadata in the catalog."""
        from xray_mining.workspace import digest_of_frame

        return Inputs(
            {
                "truths": digest_of_frame(task.catalog_rows(TRUTHS)),
                "metadata": digest_of_frame(task.catalog_rows(METADATA).select("image_key", "patient_sex")),
                "left_out": ", ".join(left_out_of(task.cohort.target(task.options.target))),
            }
        )

    def fit(self, task: "Task[OracleOptions]", fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
        """Fit a linear model on the true measures."""
        from xray_mining.models.baselines import fit_baseline

        matrix, _ = truths(task.catalog_rows(TRUTHS), task.catalog_rows(METADATA), fit, task.options.truths)
        fitted, learned = fit_baseline("", matrix, fit)
        return fitted, learned.chosen

    def applied(self, experiment: "Experiment", means: "Means") -> "dict[str, Applied]":
        """Always refused, because a picture does not have the true measures."""
        raise UserError(
            f"{experiment.name}: reads the phantom's true anatomy from the catalog, which pictures do not have; name a "
            f"model that reads pictures"
        )


def truths(
    frame: "pl.DataFrame", metadata: "pl.DataFrame", fit: "Fit", wanted: Sequence[str]
) -> "tuple[Array, list[str]]":
    """True measures, their squares and products, (n, columns) float64 in the order of fit.images, and names.

    `wanted` names the measures; an empty one takes all anatomical measures. Sex is added (an image shows it) unless the
    target is made of it. Raises UserError if the archive has no truths.
    """
    import numpy as np
    import polars as pl

    if not frame.height:
        raise UserError("oracle: these images have no known truth; only phantom archives have; remove the oracle")
    anatomy = sorted(frame.filter(pl.col("kind") == "anatomy")["name"].unique().to_list())
    known = frame["name"].unique().to_list()
    for name in wanted:
        if name not in known:
            raise unknown_name("oracle, truths", name, known)
    names = list(wanted) or anatomy or sorted(known)
    wide = frame.filter(pl.col("name").is_in(names)).pivot("name", index="image_key", values="value")
    ordered = pl.DataFrame({"image_key": fit.keys}).join(wide, on="image_key", how="left", maintain_order="left")
    matrix = ordered.select(names).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if "patient_sex" not in fit.target.made_of:
        sexes = metadata.select("image_key", "patient_sex")
        sex = pl.DataFrame({"image_key": fit.keys}).join(sexes, on="image_key", how="left", maintain_order="left")
        matrix = np.column_stack([matrix, (sex["patient_sex"] == "M").fill_null(False).to_numpy().astype(float)])
        names.append("male")
    return _with_products(matrix, fit.rows("train", "validation"), names)


def _with_products(matrix: "Array", learned: "Array", names: list[str]) -> "tuple[Array, list[str]]":
    """The standardised columns, their squares and their products; mean and deviation come from the fitted rows."""
    import numpy as np

    known = matrix[learned]
    some = np.isfinite(known).any(axis=0)
    centre = np.zeros(matrix.shape[1])
    spread = np.ones(matrix.shape[1])
    centre[some] = np.nanmean(known[:, some], axis=0)
    spread[some] = np.nanstd(known[:, some], axis=0)
    standard = (matrix - centre) / np.where(spread > 1e-12, spread, 1.0)
    first, second = np.triu_indices(matrix.shape[1])
    products = standard[:, first] * standard[:, second]
    return np.column_stack([standard, products]), [
        *names,
        *(f"{names[a]} × {names[b]}" for a, b in zip(first, second, strict=True)),
    ]


KIND = OracleKind()
