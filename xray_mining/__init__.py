"""Mine populations of chest radiographs: SQL cohorts, handcrafted and deep models, reports that can be trusted."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from xray_mining.records.cohort import FrozenCohort

__all__ = ["OpenWorkspace", "open"]


class OpenWorkspace:
    """A workspace for notebooks: queries and cohorts as polars frames, pictures as arrays."""

    def __init__(self, root: str | Path) -> None:
        from xray_mining.errors import refuse_other_systems

        refuse_other_systems()
        from xray_mining.workspace import Workspace

        self.workspace = Workspace.open(Path(root))

    def sql(self, query: str, **parameters: Any) -> "pl.DataFrame":
        """Rows of one SELECT over the catalog, with `$name` parameters bound; keys come as text."""
        from xray_mining.catalog.query import sql

        return sql(self.workspace, query, parameters)

    def freeze(self, query: str, alias: str = "", folds: int = 5, **parameters: Any) -> "FrozenCohort":
        """Select a cohort by the name of one that ships, or by its SQL file, and freeze it under `alias`, or that name.

        The same as `xray-mining cohort`: what a cohort's file takes as `$youngest` is given as `youngest=20`.
        """
        from xray_mining.catalog.cohort import freeze

        return freeze(self.workspace, query, alias or Path(query).stem, parameters, folds)

    def cohort(self, name: str) -> "FrozenCohort":
        """A frozen cohort: `.members()`, `.rotation(number, target)`, `.flow`."""
        from xray_mining.records.cohort import FrozenCohort

        return FrozenCohort.load(self.workspace, name)

    def pixels(self, image_keys: "Sequence[str] | pl.Series") -> "np.ndarray[Any, Any]":
        """Pictures of these keys in their order, (n, height, width) uint8 or uint16, bright = dense."""
        from xray_mining.pixels.store import PixelStore

        return PixelStore.open(self.workspace).read(list(image_keys))

    def __repr__(self) -> str:
        archives = ", ".join(self.workspace.settings.archives) or "none"
        return f"OpenWorkspace({str(self.workspace.root)!r}, archives: {archives})"

    def predictions(
        self, study: str, experiment: str, split: str | None = "test", variant: str | None = ""
    ) -> "pl.DataFrame":
        """Predictions of one experiment: unchanged images that their rotation tested, or what is asked for.

        Args:
            study: Name of the study.
            experiment: Name of the experiment in it.
            split: Role of the image in its rotation, test or validation; None for both.
            variant: How the image was changed before predicting; "" for unchanged ones, None for all.

        Returns:
            Rows of the record `all_predictions`.

        Raises:
            UserError: For an unknown experiment, or a split or variant of which it has no predictions.
        """
        import polars as pl

        from xray_mining.errors import unknown_name
        from xray_mining.records.predictions import Predictions

        home = self.workspace.root / "experiments"
        folder = self.workspace.experiment(study, experiment)
        if not folder.is_dir():
            known = [f"{path.parent.name}/{path.name}" for path in home.glob("*/*") if path.is_dir()]
            raise unknown_name("experiment", f"{study}/{experiment}", known)
        found = Predictions.read(folder / "predictions")
        for column, wanted in (("split", split), ("variant", variant)):
            known = sorted(found[column].unique())
            if wanted is not None and wanted not in known and found.height:
                raise unknown_name(f"{study}/{experiment}, {column}", wanted, known)
            found = found if wanted is None else found.filter(pl.col(column) == wanted)
        return found

    def estimates(self, study: str) -> "pl.DataFrame":
        """Every figure of a study that was evaluated, with its interval: rows of the record `estimates`."""
        from xray_mining.errors import unknown_name
        from xray_mining.records.estimates import Estimates

        path = self.workspace.root / "evaluations" / study / "estimates.parquet"
        if not path.is_file():
            known = [each.parent.name for each in path.parent.parent.glob("*/estimates.parquet")]
            raise unknown_name("evaluated study", study, known)
        return Estimates.read(path)

    def features(self, name: str) -> "pl.DataFrame":
        """A set of handcrafted features, by its name in the study: image_key, and a column a number."""
        from xray_mining.features.sets import frame_of

        return frame_of(self.workspace, "features", name)

    def embeddings(self, name: str) -> "pl.DataFrame":
        """A set of a frozen network's vectors, by its name in the study: image_key, and `vector` (float32)."""
        from xray_mining.features.sets import frame_of

        return frame_of(self.workspace, "embeddings", name)


def open(workspace: str | Path = "workspace") -> OpenWorkspace:
    """Open a workspace for a notebook, as in `xray_mining.open("workspace").sql("select * from images limit 5")`."""
    return OpenWorkspace(workspace)
