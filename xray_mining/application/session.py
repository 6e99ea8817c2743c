"""An open workspace: the interface for notebooks, the command line and services."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xray_mining.catalog.folds import FOLDS
from xray_mining.errors import UserError
from xray_mining.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from xray_mining.application.predict import PredictSummary
    from xray_mining.catalog.checks import CheckSummary
    from xray_mining.evaluation.evaluate import EvaluateSummary
    from xray_mining.ingest.summary import Place
    from xray_mining.models.experiment import TrainSummaries
    from xray_mining.records.cohort import FrozenCohort
    from xray_mining.reporting.command import ReportSummary
    from xray_mining.study.options import Study


class Session:
    """An open workspace: queries and cohorts as polars frames, pictures as arrays, and the steps of studies.

    The catalog's connection, pixel stores and models stay open until `close`, so later calls are fast. Each call sees
    what other programs have added to the workspace. All methods may be called from several threads at once. No method
    leaves a setting of the process (environment, log levels, options of libraries) changed.

    Args:
        root: The workspace's folder.

    Raises:
        UserError: If the folder is not a workspace, or if this is not Linux.

    Example:
        >>> with xray_mining.open(root) as opened:
        ...     opened.sql("select count(*) as images from images")["images"][0]
        60
    """

    def __init__(self, root: str | Path) -> None:
        from xray_mining.errors import refuse_other_systems

        refuse_other_systems()
        self.workspace = Workspace.open(Path(root)).keep_open()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        archives = ", ".join(self.workspace.settings.archives) or "none"
        return f"Session({str(self.workspace.root)!r}, archives: {archives})"

    def close(self) -> None:
        """Close connections, stores and models; later calls are refused. Closing twice is allowed.

        Calls of other threads that are running now either end as usual or are refused.

        Example:
            >>> opened = xray_mining.open(root)
            >>> opened.close()
        """
        self.workspace.close()

    @property
    def _open(self) -> Workspace:
        """The workspace, for one call; UserError after `close`."""
        self.workspace.refuse_closed()
        return self.workspace

    def sql(self, query: str, seconds: float | None = 300.0, **parameters: Any) -> "pl.DataFrame":
        """Rows of one SELECT over the catalog and the results; read-only.

        Args:
            query: The SELECT, or the path of an .sql file.
            seconds: Time limit of the query; None for no limit.
            parameters: Values of the query's `$name` parameters.

        Returns:
            One row per result row; keys are text.

        Raises:
            UserError: If the query is not one valid SELECT over the known tables.
            CannotFinish: If it takes longer than `seconds`, or needs too much memory.

        Example:
            >>> work.sql("select max(age_years) as oldest from images where patient_sex = $sex", sex="F")["oldest"][0]
            78.0
        """
        from xray_mining.catalog.query import sql

        return sql(self._open, query, parameters, seconds)

    def tables(self, name: str = "") -> "pl.DataFrame":
        """The tables that `sql` may read, or the columns of one.

        Args:
            name: A table or view; an empty text lists all.

        Returns:
            A row per table with the meaning of its rows, or a row per column with type, unit and meaning.

        Raises:
            UserError: If there is no such table.

        Example:
            >>> "images" in work.tables()["table"].to_list()
            True
        """
        from xray_mining.catalog.query import tables

        return tables(self._open, name)

    def freeze(self, query: str, alias: str = "", folds: int = FOLDS, **parameters: Any) -> "FrozenCohort":
        """Select a cohort and freeze it, as `xray-mining cohort` does.

        Args:
            query: Name of a shipped cohort, or the path of an .sql file.
            alias: Name of the frozen cohort; by default that of the query.
            folds: Number of folds of its patients.
            parameters: Values of the query's parameters: `youngest=20` for `$youngest`.

        Returns:
            The cohort; the same members give the same digest.

        Raises:
            UserError: If the query is unknown or invalid, or selects no image.
            CheckFailed: If a patient would be in two splits.

        Example:
            >>> work.freeze("frontal_adults", alias="adults", youngest=30).name
            'adults'
        """
        from xray_mining.catalog.cohort import freeze

        return freeze(self._open, query, alias or Path(query).stem, parameters, folds)

    def cohort(self, name: str) -> "FrozenCohort":
        """A frozen cohort: `.members()`, `.rotation(number, target)`, `.flow`.

        Args:
            name: Name of the frozen cohort.

        Returns:
            The last frozen version of the cohort.

        Raises:
            UserError: If no cohort of this name was frozen.

        Example:
            >>> work.cohort("s-c").members().height
            60
        """
        from xray_mining.records.cohort import FrozenCohort

        return FrozenCohort.load(self._open, name)

    def check(self, cohort: str = "") -> "CheckSummary":
        """Run the data-quality checks of the archives, or the leakage checks of a cohort.

        Args:
            cohort: A frozen cohort; empty for the archives.

        Returns:
            Each check with its outcome and offending rows; `catalog.checks.raise_for` raises if a check failed.

        Raises:
            UserError: If no cohort of this name was frozen.

        Example:
            >>> work.check("s-c").errors
            0
        """
        from xray_mining.catalog.checks import check

        return check(self._open, self.cohort(cohort) if cohort else None)

    def pixels(self, image_keys: "Sequence[str] | pl.Series") -> "np.ndarray[Any, Any]":
        """Pictures of the given keys, in the order of the keys.

        Args:
            image_keys: Values of the column `image_key`.

        Returns:
            (n, height, width) uint8 or uint16, bright = dense.

        Raises:
            UserError: If the workspace has no pictures, or a key has no picture.

        Example:
            >>> work.pixels(work.cohort("s-c").members()["image_key"][:2]).shape
            (2, 64, 64)
        """
        from xray_mining.pixels.store import PixelStore

        return PixelStore.open(self._open).read(list(image_keys))

    def features(self, name: str) -> "pl.DataFrame":
        """A set of handcrafted features.

        Args:
            name: Name of the set in the study; NAME-DIGEST if there are several with this name.

        Returns:
            image_key, and a column for each feature, NaN for values that could not be measured.

        Raises:
            UserError: If there is no such set.

        Example:
            >>> work.features("f").height
            60
        """
        from xray_mining.sets.measured import frame_of

        return frame_of(self._open, "features", name)

    def embeddings(self, name: str) -> "pl.DataFrame":
        """A set of vectors of a network that is not trained here.

        Args:
            name: Name of the set in the study; NAME-DIGEST if there are several with this name.

        Returns:
            image_key, and `vector` (float32).

        Raises:
            UserError: If there is no such set.

        Example:
            >>> work.embeddings("unknown")
            Traceback (most recent call last):
            xray_mining.errors.UserError: embeddings: 'unknown' is unknown; known are none
        """
        from xray_mining.sets.measured import frame_of

        return frame_of(self._open, "embeddings", name)

    def study(self, name: str) -> "Study":
        """A study: its question, cohorts, sets, experiments and evaluation.

        Args:
            name: The path of its YAML file, or the name of a study that was run here or is shipped.

        Returns:
            The study; `.notes` has remarks on its file.

        Raises:
            UserError: If there is no such study, or its file is invalid.

        Example:
            >>> sorted(work.study(study_file).experiments)
            ['ridge']
        """
        from xray_mining.study.current import find_study

        return find_study(name, self._open)

    def train(
        self, study: "str | Study", experiment: str = "", *, rotation: int | None = None, seed: int | None = None
    ) -> "TrainSummaries":
        """Fit an experiment in every rotation of its study's design; existing fits are kept.

        Args:
            study: A study, its file or its name; STUDY/EXPERIMENT names one experiment.
            experiment: One experiment; an empty text fits all of the study.
            rotation: Only this rotation; None for all.
            seed: Only this seed; None for all.

        Returns:
            A line per experiment with its validation score.

        Raises:
            UserError: If there is no such experiment, or its cohort or sets are missing.
            CheckFailed: If a leakage check fails, or a set or member that it needs is stale.

        Example:
            >>> summary = work.train(study_file, "ridge").experiments[0]
            >>> summary.fitted, summary.kept
            (0, 1)
        """
        from xray_mining.catalog.merge import merge
        from xray_mining.models.experiment import TrainSummaries, run
        from xray_mining.models.stated import experiment_order

        read, name = self._parted(study, experiment)
        if not name and (rotation is not None or seed is not None):
            raise UserError(f"train {read.study}: a rotation or a seed belongs to one experiment; name the experiment")
        names = [name] if name else experiment_order(read.experiments)
        for each in names:
            read.refuse_missing_of(each)
        done = [run(self._open, read, each, rotation, seed) for each in names]
        # Merge now, because other programs read the merged files without this package.
        merge(self._open)
        return TrainSummaries(tuple(done))

    def _parted(self, study: "str | Study", experiment: str) -> "tuple[Study, str]":
        """The study, and the experiment named by the second argument or in STUDY/EXPERIMENT."""
        if not isinstance(study, str):
            return study, experiment
        if not experiment and not study.endswith((".yaml", ".yml")):
            before, _, last = study.rpartition("/")
            study, experiment = (before, last) if before else (study, "")
        return self.study(study), experiment

    def evaluate(self, study: "str | Study") -> "EvaluateSummary":
        """Turn a study's predictions into estimates, comparisons, checks and pictures.

        Args:
            study: A study, its file or its name. If the file is missing, the options of its last evaluation are used.

        Returns:
            The answers to the study's question, and the numbers of estimates and checks.

        Raises:
            UserError: If there is no such study, or it has no predictions.

        Example:
            >>> work.evaluate(study_file).study
            's'
        """
        from xray_mining.catalog.merge import merge
        from xray_mining.study.scored import evaluate_named, evaluate_study

        made = evaluate_named(self._open, study) if isinstance(study, str) else evaluate_study(self._open, study)
        # Merge now, because other programs read the merged files without this package.
        merge(self._open)
        return made

    def report(self, *studies: str, output: Path | None = None) -> "ReportSummary":
        """Lay a study's evaluation out as one HTML page, or several studies side by side.

        Args:
            studies: Names of studies that were evaluated, or paths of copied evaluation folders.
            output: The page's file; by default reports/STUDY.html of the workspace.

        Returns:
            The page's path, and the answers on it.

        Raises:
            UserError: If a study was not evaluated.
            CheckFailed: If its evaluation is stale: it was trained again, or its file has changed.

        Example:
            >>> Path(work.report("s").page).name
            's.html'
        """
        from xray_mining.reporting.command import report
        from xray_mining.study.current import refuse_old_evaluation

        for study in studies:
            refuse_old_evaluation(study, self._open)
        return report(list(studies), output, self._open.root)

    def predict(
        self, model: str, images: Sequence[str | Path], weights: Sequence[str | Path] = (), jobs: int | None = None
    ) -> "PredictSummary":
        """Apply a fitted model to new radiographs: one value with its spread for each picture. Not for diagnosis.

        Args:
            model: STUDY/EXPERIMENT, an experiment's folder, or a fit's file. A .joblib file is a Python pickle, and
                loading it can run any code: give only models from people you trust.
            images: DICOM, PNG, JPEG, TIFF or BMP files, or folders of them.
            weights: Weights files of frozen networks; by default those that the study names.
            jobs: Processes that read files; by default one per core.

        Returns:
            A prediction for each picture, in the order of the files; for an unreadable file the reason.

        Raises:
            UserError: If there is no such model or file, or the model cannot be applied to pictures.
            CheckFailed: If the model is stale: its study file has changed since it was trained.

        Example:
            >>> said = work.predict("s/ridge", [picture], jobs=1).predictions[0]
            >>> Path(said.file).name, said.trouble
            ('000.png', '')
        """
        from xray_mining.application.predict import predict

        return predict(self._open, model, [Path(each) for each in images], [Path(each) for each in weights], jobs)

    def predictions(
        self, study: str, experiment: str, split: str | None = "test", variant: str | None = ""
    ) -> "pl.DataFrame":
        """Predictions of one experiment, by default for unchanged test images.

        Args:
            study: Name of the study.
            experiment: Name of the experiment in it.
            split: Role of the image in its rotation, test or validation; None for both.
            variant: How the image was changed before predicting; "" for unchanged images, None for all.

        Returns:
            Rows of the record `all_predictions`.

        Raises:
            UserError: If the experiment is unknown, or has no predictions of this split or variant.

        Example:
            >>> work.predictions("s", "ridge")["split"].unique().to_list()
            ['test']
        """
        import polars as pl

        from xray_mining.errors import unknown_name
        from xray_mining.records.predictions import Predictions

        # A name is looked up and never joined to a path: a service passes names from outside.
        home = self._open.root / "experiments"
        folders = {f"{path.parent.name}/{path.name}": path for path in home.glob("*/*") if path.is_dir()}
        name = f"{study}/{experiment}"
        if name not in folders:
            raise unknown_name("experiment", name, list(folders))
        found = Predictions.read(folders[name] / "predictions")
        for column, wanted in (("split", split), ("variant", variant)):
            known = sorted(found[column].unique())
            if wanted is not None and wanted not in known and found.height:
                raise unknown_name(f"{study}/{experiment}, {column}", wanted, known)
            found = found if wanted is None else found.filter(pl.col(column) == wanted)
        return found

    def estimates(self, study: str) -> "pl.DataFrame":
        """All estimates of an evaluated study, with their intervals.

        Args:
            study: Name of the study.

        Returns:
            Rows of the record `estimates`.

        Raises:
            UserError: If no study of this name was evaluated.

        Example:
            >>> work.estimates("s").filter(experiment="ridge", metric="mae").is_empty()
            False
        """
        from xray_mining.errors import unknown_name
        from xray_mining.records.estimates import Estimates

        home = self._open.root / "evaluations"
        files = {path.parent.name: path for path in home.glob("*/estimates.parquet")}
        if study not in files:
            raise unknown_name("evaluated study", study, list(files))
        return Estimates.read(files[study])

    def locate(self, key: str) -> "Place":
        """The path of a radiograph's file; needs the private folder.

        Args:
            key: An image_key or file_key.

        Returns:
            The archive, the file's path and, for a packed file, the member.

        Raises:
            UserError: If no archive has this key, or the private folder is missing.

        Example:
            >>> key = work.cohort("s-c").members()["image_key"][0]
            >>> Path(work.locate(key).path).suffix
            '.png'
        """
        from xray_mining.ingest.summary import locate

        return locate(self._open, key)
