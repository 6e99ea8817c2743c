"""One experiment of a study: its inputs, a fit for each rotation and seed, predictions, calibration, ledger."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from xray_mining.errors import CheckFailed, UserError, unknown_name
from xray_mining.models.freshness import Standing, digest_of_predictions, read_notes, refuse_other_cohort, standing
from xray_mining.models.options import (
    BaselineOptions,
    DesignOptions,
    EmbeddingOptions,
    EnsembleOptions,
    ExperimentOptions,
    FrozenOptions,
    NetworkOptions,
    NullOptions,
    OracleOptions,
    shown_options,
)
from xray_mining.pixels.store import store_options
from xray_mining.pixels.variants import VARIANTS
from xray_mining.progress import progress
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.ledger import record_run
from xray_mining.records.predictions import Predictions
from xray_mining.workspace import (
    Workspace,
    digest_of,
    digest_of_frame,
    sweep,
    versions,
    write_atomically,
    write_json,
)

if TYPE_CHECKING:
    import numpy as np

    from xray_mining.catalog.options import CohortOptions
    from xray_mining.features.options import FeatureOptions
    from xray_mining.models.calibration import CalibrationMap
    from xray_mining.models.fit import Fit, Fitted

# A change of how fits are made that changes their numbers: experiments made before it are made again.
_VERSION = 6

NO_SEED = -1

RAW = "raw"
"""In experiment.json, the calibration of a fit whose values no map is shown to help."""


class StudyParts(Protocol):
    """What an experiment takes from its study file."""

    @property
    def study(self) -> str:
        """Name of the study."""
        ...

    @property
    def experiments(self) -> "Mapping[str, ExperimentOptions]":
        """Its experiments, without the nulls that are added by themselves."""
        ...

    @property
    def features(self) -> "Mapping[str, FeatureOptions]":
        """Its feature sets."""
        ...

    @property
    def embeddings(self) -> Mapping[str, EmbeddingOptions]:
        """Its embedding sets."""
        ...

    @property
    def cohorts(self) -> "Mapping[str, CohortOptions]":
        """How its cohorts are selected."""
        ...

    @property
    def design(self) -> DesignOptions:
        """Rotations and seeds."""
        ...

    def cohort_name(self, key: str) -> str:
        """The name under which the workspace keeps one of its cohorts."""
        ...


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """What `train` says at its end."""

    experiment: str
    """STUDY/NAME."""
    digest: str
    model_kind: str
    fitted: int
    """Fits done now."""
    kept: int
    """Fits that were there, of the same digest."""
    score: float | None
    """On validation patients, out of fold: mean absolute error, or mean area under the ROC curve over rotations."""
    metric: str
    seconds: float

    def lines(self) -> list[str]:
        """The counts and the validation score; never a test score."""
        score = "no validation score" if self.score is None else f"validation {self.metric} {self.score:.3f}"
        fits = f"{self.fitted} fitted, {self.kept} kept"
        return [f"{self.experiment} ({self.model_kind}): {fits}, {score}, {self.seconds:.1f} s"]


@dataclass(frozen=True, slots=True)
class TrainSummaries:
    """The same for several experiments."""

    experiments: tuple[TrainSummary, ...]

    def lines(self) -> list[str]:
        """A line an experiment."""
        return [line for each in self.experiments for line in each.lines()]


def kind_of(options: ExperimentOptions) -> str:
    """The model_kind of its predictions."""
    if isinstance(options, NullOptions):
        return "null"
    return {"frozen": "frozen", "network": "network", "ensemble": "ensemble", "oracle": "oracle"}.get(
        options.model, "baseline"
    )


def with_nulls(experiments: Mapping[str, ExperimentOptions]) -> dict[str, ExperimentOptions]:
    """The experiments and the nulls that every cohort and target gets by itself, those named by hand left alone."""
    from xray_mining.models.nulls import NULL_MODELS

    every = dict(experiments)
    named = {(each.model, each.cohort, each.target) for each in experiments.values() if isinstance(each, NullOptions)}
    for cohort, target in dict.fromkeys((each.cohort, each.target) for each in experiments.values()):
        for model in NULL_MODELS:
            if (model, cohort, target) not in named:
                name = _free_name(model, cohort, target, every)
                every[name] = NullOptions(model=model, cohort=cohort, target=target)
    return every


def _free_name(model: str, cohort: str, target: str, taken: Mapping[str, ExperimentOptions]) -> str:
    """A name that no other experiment of the study has, short where the target's name holds the cohort's.

    Cohorts `age` and `years` share the short name of age_years, and cohort `a` with target `b_c` the long one of cohort
    `a_b` with target `c`: the later one gets the longer name, or a number.
    """
    long = f"null_{model}_{cohort}_{target}"
    first = f"null_{model}_{target}" if cohort in target else long
    return next(name for name in chain((first, long), (f"{long}_{n}" for n in count(2))) if name not in taken)


def run(workspace: Workspace, study: StudyParts, name: str) -> TrainSummary:
    """Fit one experiment of a study in every rotation and seed of its design; what is done already is kept.

    Writes experiments/STUDY/NAME: experiment.json, predictions/rotation<r>-seed<s>.parquet, models. The leakage gate
    stands before the first fit. Raises UserError for an unknown name and for data that cannot be fitted, CheckFailed
    where the gate finds offenders, or where the cohort or an ensemble's member was made by other options.
    """
    experiments = with_nulls(study.experiments)
    if name not in experiments:
        raise unknown_name(f"study {study.study}, experiment", name, experiments)
    options = experiments[name]
    members = Members(workspace, FrozenCohort.load(workspace, study.cohort_name(options.cohort)))
    refuse_other_cohort(members.cohort, study.cohorts[options.cohort], options.cohort)
    return _Task(workspace, study, name, options, experiments, members).run()


@dataclass(slots=True)
class Members:
    """What is known of a frozen cohort's members, each read once for all experiments on them."""

    workspace: Workspace
    cohort: FrozenCohort
    _keys: list[str] = field(default_factory=list)
    _pixels: str = ""
    _rows: dict[str, pl.DataFrame] = field(default_factory=dict)

    def keys(self) -> list[str]:
        """image_key of every member: the rows of every rotation, in this order."""
        self._keys = self._keys or self.cohort.members()["image_key"].to_list()
        return self._keys

    def catalog_rows(self, report: str) -> pl.DataFrame:
        """Rows of sql/REPORT.sql of all members."""
        if report not in self._rows:
            from xray_mining.catalog.query import select

            self._rows[report] = select(self.workspace, report, image_keys=self.keys())
        return self._rows[report]

    def pixels_digest(self) -> str:
        """Digest of what the members' pictures were made from: an archive ingested again may bring other pixels."""
        if not self._pixels:
            from xray_mining.features.sets import pixel_digests

            members = pl.DataFrame({"image_key": self.keys()}, schema={"image_key": pl.String})
            self._pixels = digest_of_frame(members.join(pixel_digests(self.workspace), on="image_key", how="left"))
        return self._pixels


@dataclass(slots=True)
class _Task:
    """One experiment on the members of its cohort."""

    workspace: Workspace
    study: StudyParts
    name: str
    options: ExperimentOptions
    experiments: Mapping[str, ExperimentOptions]
    members: Members
    licences: dict[str, str] = field(default_factory=dict)
    _matrix: "np.ndarray | None" = None

    @property
    def cohort(self) -> FrozenCohort:
        """Its cohort."""
        return self.members.cohort

    def keys(self) -> list[str]:
        """image_key of every member."""
        return self.members.keys()

    def matrix(self, make: "Callable[[], np.ndarray]") -> "np.ndarray":
        """What the model reads of every member, (members, columns): made once, for all rotations."""
        if self._matrix is None:
            self._matrix = make()
        return self._matrix

    def catalog_rows(self, report: str) -> pl.DataFrame:
        """Rows of sql/REPORT.sql of all members."""
        return self.members.catalog_rows(report)

    @property
    def folder(self) -> Path:
        return self.workspace.experiment(self.study.study, self.name)

    @property
    def store(self) -> str:
        name = self.cohort.store or self.workspace.settings.store
        return name or ""

    def identity(self) -> dict[str, Any]:
        """Everything that the predictions hang on, as JSON; its digest is the experiment's.

        Raises UserError where an input is not there, as the weights of a network.
        """
        target = self.cohort.target(self.options.target)
        told = {
            "version": _VERSION,
            "options": self.shown_options(),
            "cohort": self.cohort.digest,
            "target": [target.name, target.kind, target.positive, list(target.classes)],
            "inputs": self.inputs(),
            "versions": {key: versions().get(key, "") for key in self.versions_that_matter()},
        }
        if kind_of(self.options) in _CHANGED:
            told["variants"] = [self.study.design.changed_images, sorted(VARIANTS)]
        return told

    def run(self) -> TrainSummary:
        """Fit what is not fitted yet."""
        started = monotonic()
        target = self.cohort.target(self.options.target)
        self.refuse_stale_members()
        told = self.identity()
        inputs = told["inputs"]
        digest = digest_of(told)
        sweep(self.folder)
        notes_path = self.folder / "experiment.json"
        earlier = read_notes(self.folder)
        if earlier.get("digest") not in (None, digest):
            for folder in ("predictions", "models"):
                shutil.rmtree(self.folder / folder, ignore_errors=True)
        seconds = float(earlier.get("seconds") or 0.0) if earlier.get("digest") == digest else 0.0
        shares: dict[str, Any] = dict(earlier.get("fits") or {}) if earlier.get("digest") == digest else {}
        parts = self.parts()
        # A fit that was cut off before its notes were written has lost its calibration map: it is made again.
        waiting = [part for part in parts if not self.part(*part).is_file() or self.part(*part).stem not in shares]
        for stray in set((self.folder / "predictions").glob("*.parquet")) - {self.part(*part) for part in parts}:
            stray.unlink()
        notes: dict[str, Any] = {
            "study": self.study.study,
            "experiment": self.name,
            "digest": digest,
            "model_kind": kind_of(self.options),
            "options": self.shown_options(),
            "cohort": self.cohort.name,
            "cohort_digest": self.cohort.digest,
            "target": target.name,
            "inputs": inputs,
            "licences": self.licences,
            "versions": told["versions"],
            "identity": told,
        }
        if waiting or not earlier:
            write_json({**notes, "seconds": seconds, "fits": shares}, notes_path)
        if waiting:
            from xray_mining.catalog.cohort import gate

            gate(self.workspace, self.cohort)
            command = f"train {self.study.study}/{self.name}"
            subject = f"{self.study.study}/{self.name}"
            with record_run(self.workspace, "train", subject, command, self.shown_options()) as ledger:
                ledger.inputs |= {"cohort": self.cohort.digest, **inputs}
                with progress(len(parts), f"train {self.name}", unit="fits", done=len(parts) - len(waiting)) as bar:
                    for number, seed in waiting:
                        before = monotonic()
                        shares[f"rotation{number}-seed{seed}"] = self.fit(number, seed, digest)
                        seconds += monotonic() - before
                        write_json({**notes, "seconds": seconds, "fits": shares}, notes_path)
                        bar.advance()
                ledger.outputs["experiment"] = digest
        score, metric = self.score()
        return TrainSummary(
            f"{self.study.study}/{self.name}",
            digest,
            kind_of(self.options),
            len(waiting),
            len(parts) - len(waiting),
            score,
            metric,
            monotonic() - started,
        )

    def shown_options(self) -> dict[str, Any]:
        return shown_options(self.options)

    def versions_that_matter(self) -> tuple[str, ...]:
        if isinstance(self.options, NetworkOptions):
            return ("xray-mining", "torch", "timm", "pytorch-lightning", "albumentations")
        return ("xray-mining", "numpy", "scikit-learn")

    def seeds(self) -> list[int]:
        return list(self.study.design.seeds) if isinstance(self.options, NetworkOptions) else [NO_SEED]

    def parts(self) -> list[tuple[int, int]]:
        rotations = self.cohort.rotations() if self.study.design.rotations == "all" else 1
        return [(number, seed) for number in range(rotations) for seed in self.seeds()]

    def part(self, number: int, seed: int) -> Path:
        return self.folder / "predictions" / f"rotation{number}-seed{seed}.parquet"

    def inputs(self) -> dict[str, str]:
        """Name of each input → its digest or set; licences of weights are collected on the way."""
        from xray_mining.features.extract import feature_folder
        from xray_mining.models.nulls import METADATA, left_out_of, picture_options

        options = self.options
        target = self.cohort.target(options.target)
        found: dict[str, str] = {}
        reads_pictures = isinstance(options, BaselineOptions | FrozenOptions | NetworkOptions)
        if reads_pictures or (isinstance(options, NullOptions) and picture_options(options.model) is not None):
            found["pixels"] = self.members.pixels_digest()
        if isinstance(options, BaselineOptions):
            for key in options.features:
                found[f"features/{key}"] = feature_folder(
                    self.workspace, key, self.study.features[key], self.store
                ).name
        elif isinstance(options, FrozenOptions):
            from xray_mining.models.embedding import embedding_folder
            from xray_mining.networks.weights import find_weights

            for key in options.embeddings:
                each = self.study.embeddings[key]
                found[f"embeddings/{key}"] = embedding_folder(self.workspace, key, each, self.store).name
                source = find_weights(each.backbone, each.weights, each.weights_licence)
                if source.licence:
                    self.licences[each.backbone] = source.licence
        elif isinstance(options, NetworkOptions):
            from xray_mining.networks.weights import find_weights

            source = find_weights(options.backbone, options.weights, options.weights_licence)
            found["store"] = self.store
            found["weights"] = source.digest or source.kind
            if source.licence:
                self.licences[options.backbone] = source.licence
        elif isinstance(options, EnsembleOptions):
            for member in options.members:
                found[f"experiments/{member}"] = self.member_digest(member)
        elif isinstance(options, NullOptions):
            picture = picture_options(options.model)
            if picture is not None:
                found["features"] = feature_folder(self.workspace, f"null_{options.model}", picture, self.store).name
            elif options.model == "metadata":
                found["metadata"] = digest_of_frame(self.catalog_rows(METADATA))
                found["left_out"] = ", ".join(left_out_of(target))
        elif isinstance(options, OracleOptions):
            from xray_mining.models.oracle import TRUTHS

            found["truths"] = digest_of_frame(self.catalog_rows(TRUTHS))
            found["metadata"] = digest_of_frame(self.catalog_rows(METADATA).select("image_key", "patient_sex"))
            found["left_out"] = ", ".join(left_out_of(target))
        return found

    def refuse_stale_members(self) -> None:
        """CheckFailed where a member of an ensemble has predictions that were made by other options than today's."""
        options = self.options
        for member in options.members if isinstance(options, EnsembleOptions) else ():
            found = standing(self.of(member))
            if found.outcome == "stale":
                raise CheckFailed(f"experiments.{self.name}: its member {found.sentence}")

    def of(self, other: str) -> "_Task":
        """Another experiment of the study, on the same members."""
        options = self.experiments[other]
        return _Task(self.workspace, self.study, other, options, self.experiments, self.members)

    def member_digest(self, member: str) -> str:
        other = self.experiments[member]
        if (other.cohort, other.target) != (self.options.cohort, self.options.target):
            raise UserError(
                f"experiments.{self.name}.members: '{member}' has another cohort or target; an ensemble's members "
                f"share both"
            )
        folder = self.workspace.experiment(self.study.study, member)
        notes = read_notes(folder)
        if notes.get("cohort_digest") != self.cohort.digest:
            raise UserError(
                f"experiments.{self.name}: its member '{member}' is not trained on this cohort yet; run "
                f"`xray-mining train {self.study.study}/{member}` first"
            )
        self.licences |= notes.get("licences") or {}
        return digest_of_predictions(folder, notes["digest"])

    def fit(self, number: int, seed: int, digest: str) -> dict[str, Any]:
        """One rotation under one seed: fit, calibrate, write the part; what was chosen, for experiment.json."""
        from xray_mining.models.fit import Fit

        one = Fit.of(self.cohort, self.options.target, number, seed)
        for role in ("train", "test"):
            if not len(one.rows(role, labelled=True)):
                raise UserError(
                    f"cohort {self.cohort.name}, rotation {number}: no {role} image has a known "
                    f"'{self.options.target}'; take a larger cohort"
                )
        fitted, chosen = _FITTERS[kind_of(self.options)](self, one)
        found = self.calibration(one, fitted)
        frames = [self.rows(one, fitted, digest, found), *self.changed_rows(one, digest)]
        Predictions.write(pl.concat(frames), self.part(number, seed))
        return {**chosen, "calibration": RAW if found is None else found.to_json()}

    def calibration(self, fit: "Fit", fitted: "Fitted") -> "CalibrationMap | None":
        """The map of the fit's validation patients; None where none is shown to help."""
        import numpy as np

        at, truths = _known(fit, fitted)
        images = fit.images[at]
        checked = np.flatnonzero((images["role"].to_numpy() == "validation") & fit.kind.known(truths))
        owners = images["patient_key"].to_numpy()[checked]
        return fit.kind.calibration(fitted.values[checked], truths[checked], fit.target, owners)

    def changed_rows(self, fit: "Fit", digest: str) -> "Iterator[pl.DataFrame]":
        """What the fitted model says of some tested images in another window and sharpened, as rows of the record.

        The keys are digests, so that the first ones are a draw by chance, and the same for every experiment.
        """
        predict = _CHANGED.get(kind_of(self.options))
        rows = fit.rows("test", labelled=True)[: self.study.design.changed_images]
        if predict is None or not len(rows):
            return
        keys = [fit.keys[row] for row in rows]
        for variant in VARIANTS:
            fitted = predict(self, fit, keys, variant)
            if len(fitted.image_keys):
                yield self.rows(fit, fitted, digest).with_columns(
                    variant=pl.lit(variant), value_calibrated=pl.lit(None, pl.Float64)
                )

    def rows(
        self, fit: "Fit", fitted: "Fitted", digest: str, calibration: "CalibrationMap | None" = None
    ) -> pl.DataFrame:
        """The fit's predictions as rows of the record, with calibrated values where there is a map."""
        at, truths = _known(fit, fitted)
        images = fit.images[at]
        mapped = None if calibration is None else calibration.of(fitted.values)
        frames = [
            pl.DataFrame(
                {
                    "class": [column.name] * len(at),
                    "split": images["role"],
                    "unit_key": fitted.image_keys,
                    "patient_key": images["patient_key"],
                    "truth": pl.Series(column.truth.astype(float)).fill_nan(None),
                    "value": column.value,
                    "value_calibrated": column.calibrated,
                    "spread": fitted.spread if column.has_spread else None,
                },
                schema_overrides={"value_calibrated": pl.Float64, "spread": pl.Float64},
            )
            for column in fit.kind.columns(fitted.values, mapped, truths, fit.target)
        ]
        return pl.concat(frames).with_columns(
            study=pl.lit(self.study.study),
            experiment=pl.lit(self.name),
            experiment_digest=pl.lit(digest),
            model_kind=pl.lit(kind_of(self.options)),
            cohort_digest=pl.lit(self.cohort.digest),
            target=pl.lit(fit.target.name),
            seed=pl.lit(fit.seed, pl.Int64),
            fold=pl.lit(fit.number, pl.Int64),
            variant=pl.lit(""),
            level=pl.lit("image"),
        )

    def score(self) -> tuple[float | None, str]:
        """The validation score over the parts that are there."""
        from xray_mining.models.targets import TARGETS

        target = self.cohort.target(self.options.target)
        kind = TARGETS.find(target.kind)
        frame = Predictions.read([path for part in self.parts() if (path := self.part(*part)).is_file()])
        kept = frame.filter((pl.col("split") == "validation") & pl.col("truth").is_not_null())
        return kind.score(kept), kind.metric(target)

    def save(self, fit: "Fit", model: dict[str, Any]) -> None:
        """Keep a scikit-learn model for `predict`, whole or not at all."""
        import joblib

        path = self.folder / "models" / f"rotation{fit.number}-seed{fit.seed}.joblib"
        with write_atomically(path) as scratch:
            told = {"format": 1, "target": fit.target, "store": self.store}
            told["grey"] = store_options(self.workspace, self.store)
            joblib.dump(told | model, scratch, compress=3)

    def saved(self, fit: "Fit") -> Any:
        """The predictor that `save` kept."""
        import joblib

        return joblib.load(self.folder / "models" / f"rotation{fit.number}-seed{fit.seed}.joblib")["predictor"]


def _known(fit: "Fit", fitted: "Fitted") -> "tuple[np.ndarray, np.ndarray]":
    """Row numbers of the fitted images in the fit, (n,), and their truths, NaN where unknown, (n,)."""
    import numpy as np

    place = {key: row for row, key in enumerate(fit.keys)}
    at = np.array([place[key] for key in fitted.image_keys], dtype=np.int64)
    return at, fit.truths()[at]


def _fit_null(task: _Task, fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
    from xray_mining.features.extract import extract, load
    from xray_mining.models.baselines import fit_baseline, table_of
    from xray_mining.models.nulls import METADATA, centre, metadata, picture_options

    model = task.options.model
    if model == "centre":
        return centre(fit), {}
    picture = picture_options(model)
    if picture is None:
        matrix, _ = metadata(task.catalog_rows(METADATA), fit)
    else:

        def measured() -> "np.ndarray":
            extract(task.workspace, task.cohort, f"null_{model}", picture)
            return load(task.workspace, f"null_{model}", picture, task.keys(), task.store)[0]

        matrix = task.matrix(measured)
    if table_of(matrix, fit).lacking():
        # A null that cannot learn knows no more than the centre; refusing would stop studies whose own models can.
        return centre(fit), {}
    fitted, learned = fit_baseline("", matrix, fit)
    if picture is not None:
        sets = {"features": {f"null_{model}": shown_options(picture)}}
        task.save(fit, {"predictor": learned.predictor, **sets})
    return fitted, learned.chosen


def _fit_baseline(task: _Task, fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
    from xray_mining.features.extract import load

    options = task.options
    assert isinstance(options, BaselineOptions)
    matrix = task.matrix(lambda: _side_by_side(task, options.features, task.study.features, load))
    return _fit_table(task, fit, matrix, options.model)


def _fit_frozen(task: _Task, fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
    from xray_mining.models.embedding import load

    options = task.options
    assert isinstance(options, FrozenOptions)
    matrix = task.matrix(lambda: _side_by_side(task, options.embeddings, task.study.embeddings, load))
    return _fit_table(task, fit, matrix, options.head, options.components)


def _side_by_side(
    task: _Task, chosen: Sequence[str], sets: Mapping[str, Any], load: "Callable[..., tuple[np.ndarray, list[str]]]"
) -> "np.ndarray":
    """The numbers of the chosen sets, (members, columns)."""
    import numpy as np

    return np.concatenate([load(task.workspace, key, sets[key], task.keys(), task.store)[0] for key in chosen], 1)


def _fit_table(
    task: _Task, fit: "Fit", matrix: "np.ndarray", model: str, components: int = 0
) -> "tuple[Fitted, dict[str, Any]]":
    """A scikit-learn model on a table, kept for `predict` with the options of the sets its columns come from."""
    from xray_mining.models.baselines import fit_baseline

    fitted, learned = fit_baseline(model, matrix, fit, components)
    options, study = task.options, task.study
    if isinstance(options, FrozenOptions):
        from xray_mining.networks.weights import find_weights

        chosen = {key: study.embeddings[key] for key in options.embeddings}
        found = {key: find_weights(each.backbone, each.weights, each.weights_licence) for key, each in chosen.items()}
        sets = {"embeddings": {key: shown_options(each) for key, each in chosen.items()}}
        sets["weights"] = {key: each.digest for key, each in found.items()}
    else:
        assert isinstance(options, BaselineOptions)
        sets = {"features": {key: shown_options(study.features[key]) for key in options.features}}
    task.save(fit, {"predictor": learned.predictor, **sets})
    return fitted, learned.chosen


def _fit_network(task: _Task, fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
    from xray_mining.models.training import fit_network
    from xray_mining.pixels.store import PixelStore

    options = task.options
    assert isinstance(options, NetworkOptions)
    store = PixelStore.open(task.workspace, task.store or None)
    return fit_network(task.workspace, options, fit, task.folder / "models", store=store), {}


def _fit_ensemble(task: _Task, fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
    from xray_mining.models.ensemble import combine

    options = task.options
    assert isinstance(options, EnsembleOptions)
    members = {member: _predictions_of(task, member, fit) for member in options.members}
    combined = combine(options.rule, members, fit)
    return combined.fitted, {"weights": combined.weights}


def _predictions_of(task: _Task, member: str, fit: "Fit", variant: str = "") -> "Fitted":
    """A member's predictions in one rotation (of images changed as `variant` says), the mean over its seeds."""
    from xray_mining.models.fit import Fitted

    folder = task.workspace.experiment(task.study.study, member) / "predictions"
    parts = sorted(folder.glob(f"rotation{fit.number}-seed*.parquet"))
    if not parts:
        raise UserError(
            f"experiments.{task.name}: its member '{member}' has no predictions for rotation {fit.number}; run "
            f"`xray-mining train {task.study.study}/{member}` first"
        )
    frame = Predictions.read(parts).filter(pl.col("variant") == variant)
    means = frame.group_by("unit_key", "class").agg(pl.col("value").mean())
    return Fitted(*fit.kind.values(means, fit.target))


def _fit_oracle(task: _Task, fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
    from xray_mining.models.baselines import fit_baseline
    from xray_mining.models.nulls import METADATA
    from xray_mining.models.oracle import TRUTHS, truths

    options = task.options
    assert isinstance(options, OracleOptions)
    matrix, _ = truths(task.catalog_rows(TRUTHS), task.catalog_rows(METADATA), fit, options.truths)
    fitted, learned = fit_baseline("", matrix, fit)
    return fitted, learned.chosen


_FITTERS: "dict[str, Callable[[_Task, Fit], tuple[Fitted, dict[str, Any]]]]" = {
    "null": _fit_null,
    "baseline": _fit_baseline,
    "frozen": _fit_frozen,
    "network": _fit_network,
    "ensemble": _fit_ensemble,
    "oracle": _fit_oracle,
}


def _changed_table(task: _Task, fit: "Fit", keys: list[str], variant: str) -> "Fitted":
    """A baseline's or a frozen model's predictions of the changed images."""
    import numpy as np

    from xray_mining.features.extract import changed_features
    from xray_mining.models.baselines import predicted
    from xray_mining.models.embedding import changed_vectors
    from xray_mining.models.fit import Fitted

    def measured(change: "Callable[..., np.ndarray]", sets: Mapping[str, Any], chosen: Sequence[str]) -> "np.ndarray":
        asked = {"store": task.store, "variant": variant}
        return np.concatenate([change(task.workspace, key, sets[key], keys, **asked) for key in chosen], 1)

    options = task.options
    if isinstance(options, FrozenOptions):
        matrix = measured(changed_vectors, task.study.embeddings, options.embeddings)
    else:
        assert isinstance(options, BaselineOptions)
        matrix = measured(changed_features, task.study.features, options.features)
    return Fitted(keys, predicted(task.saved(fit), matrix))


def _changed_network(task: _Task, fit: "Fit", keys: list[str], variant: str) -> "Fitted":
    from xray_mining.models.fit import Fitted
    from xray_mining.models.training import predict_changed
    from xray_mining.pixels.store import PixelStore

    options = task.options
    assert isinstance(options, NetworkOptions)
    store = PixelStore.open(task.workspace, task.store or None)
    home = task.folder / "models" / f"rotation{fit.number}-seed{fit.seed}"
    return Fitted(keys, *predict_changed(home, options, store, keys, variant))


def _changed_ensemble(task: _Task, fit: "Fit", keys: list[str], variant: str) -> "Fitted":
    """The members' predictions of the changed images, with the weights that the validation patients gave."""
    from xray_mining.models.ensemble import combine, put_together

    options = task.options
    assert isinstance(options, EnsembleOptions)
    weights = combine(options.rule, {each: _predictions_of(task, each, fit) for each in options.members}, fit).weights
    return put_together({each: _predictions_of(task, each, fit, variant) for each in options.members}, weights)


_CHANGED: "dict[str, Callable[[_Task, Fit, list[str], str], Fitted]]" = {
    "baseline": _changed_table,
    "frozen": _changed_table,
    "network": _changed_network,
    "ensemble": _changed_ensemble,
}


def standings(workspace: Workspace, study: StudyParts) -> tuple[Standing, ...]:
    """How the predictions of each of the study's experiments, nulls too, compare with today's study file."""
    every = with_nulls(study.experiments)
    members: dict[str, Members] = {}
    found = []
    for name, options in every.items():
        cohort = study.cohort_name(options.cohort)
        try:
            if cohort not in members:
                members[cohort] = Members(workspace, FrozenCohort.load(workspace, cohort))
        except UserError as error:
            where = f"{cohort}/{options.target}"
            found.append(Standing(name, where, "unchecked", f"{name}: its options cannot be checked: {error}"))
            continue
        found.append(standing(_Task(workspace, study, name, options, every, members[cohort])))
    return tuple(found)


def experiment_order(experiments: Mapping[str, ExperimentOptions]) -> Sequence[str]:
    """Names in an order in which they can be run: an ensemble after its members."""
    done: dict[str, None] = {}
    waiting = dict(with_nulls(experiments))
    while waiting:
        ready = [
            name
            for name, each in waiting.items()
            if not isinstance(each, EnsembleOptions) or all(member in done for member in each.members)
        ]
        if not ready:
            raise UserError(f"experiments.{next(iter(waiting))}: ensembles are members of one another; undo the circle")
        for name in ready:
            done[name] = None
            del waiting[name]
    return list(done)
