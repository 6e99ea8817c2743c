"""Fit, save and apply scikit-learn models on numbers of a picture; shared by the kinds null, baseline and frozen.

Their files, models/rotation<r>-seed<s>.joblib, are Python pickles: loading one can run any code.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from xray_mining.errors import UserError
from xray_mining.features.instrument import Features
from xray_mining.features.options import FeatureOptions
from xray_mining.ingest.options import GreyOptions
from xray_mining.models.applied import Applied, Array, Experiment, Means, Pictures, kept_file
from xray_mining.models.baselines import fit_baseline, predicted
from xray_mining.models.fit import Fit, Fitted
from xray_mining.models.options import shown_options
from xray_mining.models.targets import TARGETS
from xray_mining.models.task import Task
from xray_mining.networks.options import EmbeddingOptions
from xray_mining.pixels.store import store_options
from xray_mining.records.cohort import Target
from xray_mining.sets.measure import Wanted
from xray_mining.workspace import Workspace, digest_of, write_atomically

if TYPE_CHECKING:
    from xray_mining.models.embedding import Embeddings
    from xray_mining.networks.embedder import Embedder

TABLE_FORMAT = 1


def refuse_other_target(where: str, model: str, target: Target) -> None:
    """UserError if a scikit-learn model cannot predict the target's kind, such as ridge for a group."""
    fitting = TARGETS.find(target.kind).table_models
    if model not in fitting and any(model in kind.table_models for kind in TARGETS.every().values()):
        raise UserError(
            f"{where}: {model} does not predict target {target.name}, which is {target.kind}; take '{fitting[0]}'"
        )


@dataclass(frozen=True, slots=True)
class Sets:
    """The sets of numbers whose columns a model reads as one table."""

    instrument: type[Features] | type["Embeddings"]
    """What measures them; its kind is the key of their options in model files."""
    options: Mapping[str, Any]
    """Options of each set, by its key."""

    def names(self, task: Task[Any]) -> dict[str, str]:
        """Name of each set by KIND/KEY; it holds the digest of all that the numbers depend on."""
        return {f"{self.instrument.kind}/{each.key}": each.name for each in self._wanted(task)}

    def of_members(self, task: Task[Any]) -> Array:
        """(members, columns)."""
        return np.concatenate([each.read(task.keys()) for each in self._wanted(task)], 1)

    def of_changed(self, task: Task[Any], keys: list[str], variant: str) -> Array:
        """(keys, columns) of pictures changed as in `variant`; they are kept as sets of their own."""
        changed = self._wanted(task, variant)
        for each in changed:
            each.fill(keys)
        return np.concatenate([each.read(keys) for each in changed], 1)

    def _wanted(self, task: Task[Any], variant: str = "") -> list[Wanted]:
        return [
            Wanted(task.workspace, key, self.instrument(each), task.store, variant)
            for key, each in self.options.items()
        ]


def fit_table(
    task: Task[Any], fit: Fit, model: str, sets: Sets, *, components: int = 0, more: Mapping[str, Any] | None = None
) -> tuple[Fitted, dict[str, Any]]:
    """Fit a model on the sets, and save it for `predict` with the options of the sets and the entries of `more`."""
    fitted, learned = fit_baseline(model, task.matrix(lambda: sets.of_members(task)), fit, components)
    told = {key: shown_options(each) for key, each in sets.options.items()}
    save(task, fit, {"predictor": learned.predictor, sets.instrument.kind: told, **(more or {})})
    return fitted, learned.chosen


def changed_table(task: Task[Any], fit: Fit, keys: list[str], variant: str, sets: Sets) -> Fitted:
    """Predictions of the saved model for changed pictures."""
    import joblib

    predictor = joblib.load(_kept_at(task, fit))["predictor"]
    return Fitted(keys, predicted(predictor, sets.of_changed(task, keys, variant)))


def save(task: Task[Any], fit: Fit, model: Mapping[str, Any]) -> None:
    """Save a scikit-learn model for `predict`; the file is written whole or not at all."""
    import joblib

    with write_atomically(_kept_at(task, fit)) as scratch:
        content = {"format": TABLE_FORMAT, "target": fit.target, "store": task.store}
        content["grey"] = store_options(task.workspace, task.store)
        joblib.dump({**content, **model}, scratch, compress=3)


def _kept_at(task: Task[Any], fit: Fit) -> Path:
    return task.folder / "models" / f"rotation{fit.number}-seed{fit.seed}.joblib"


@dataclass(frozen=True, slots=True)
class _Numbers:
    """One set of numbers of pictures: a feature set or an embedding set."""

    name: str
    """Sets with the same name have the same numbers, so they are measured once."""
    measure: Callable[[Pictures], Array]
    licence: str = ""


@dataclass(frozen=True, slots=True)
class _Table:
    where: str
    predictor: Any
    target: Target
    grey: GreyOptions
    sets: tuple[_Numbers, ...]

    @property
    def licences(self) -> tuple[str, ...]:
        """Licences of the frozen networks."""
        return tuple(sorted({each.licence for each in self.sets} - {""}))

    def of(self, pictures: Pictures) -> tuple[Array, Array | None]:
        """Predictions on the columns of all sets; without a spread."""
        matrix = np.concatenate([pictures.once(each.name, partial(each.measure, pictures)) for each in self.sets], 1)
        try:
            return predicted(self.predictor, matrix), None
        except (ValueError, IndexError) as error:
            raise UserError(
                f"{self.where}: does not take the {matrix.shape[1]} numbers that this version of xray-mining measures; "
                f"train its experiment again"
            ) from error


def table(path: Path, means: Means) -> Applied:
    """The model in a file that `train` wrote: a pickle, so that loading it runs code."""
    content = _content(path)
    try:
        sets = [
            _SETS[kind](f"{path.name}, {kind} {key}", options, str(content.get("weights", {}).get(key, "")), means)
            for kind in _SETS
            for key, options in (content.get(kind) or {}).items()
        ]
        grey = _grey(path, content, means)
    except ValidationError as error:
        place = ".".join(str(each) for each in error.errors()[0]["loc"])
        raise UserError(
            f"{path.name}: its options are of another version of xray-mining ({place}: {error.errors()[0]['msg']}); "
            f"train its experiment again"
        ) from error
    return _Table(path.name, content["predictor"], content["target"], grey, tuple(sets))


def tables(experiment: Experiment, means: Means) -> dict[str, Applied]:
    """One predictor for each rotation."""
    home = experiment.folder / "models"
    return {fit: table(kept_file(experiment, home / f"{fit}.joblib"), means) for fit in experiment.fits}


def _content(path: Path) -> Mapping[str, Any]:
    import joblib

    try:
        _refuse_another_version(path)
        content = joblib.load(path)
        version = content["format"]
        if not content.keys() >= {"predictor", "target", "store"}:
            raise KeyError("predictor")
    except UserError:
        raise
    except Exception as error:
        # Unpickling damaged or foreign bytes can raise any exception.
        raise UserError(
            f"{path.name}: is not a model file that can be read ({type(error).__name__}); train its experiment again"
        ) from error
    if version != TABLE_FORMAT:
        raise UserError(f"{path.name}: has format {version}, this xray-mining reads {TABLE_FORMAT}; train it again")
    return content


_VERSION = re.compile(rb"_sklearn_version\x94?(?:\x95.{8})?\x8c.([0-9][\w.+-]*)", re.DOTALL)
"""The version that each scikit-learn estimator has in a pickle: a key, then a short text (PROTO 4, PEP 3154)."""


def _refuse_another_version(path: Path) -> None:
    """UserError if a model's estimators are of another scikit-learn: they may load and silently give other numbers.

    The bytes are read, because scikit-learn says it by a warning only, and filters of warnings belong to all threads:
    another thread's "ignore" would let such a model pass.
    """
    from sklearn import __version__

    packed = path.read_bytes()
    # `save` packs with zlib, whose first byte this is.
    content = zlib.decompress(packed) if packed[:1] == b"\x78" else packed
    others = {found.decode() for found in _VERSION.findall(content)} - {__version__}
    if others:
        raise UserError(
            f"{path.name}: was fitted with scikit-learn {', '.join(sorted(others))}, but {__version__} is installed "
            f"and may read it differently; train its experiment again"
        )


def _grey(path: Path, content: Mapping[str, Any], means: Means) -> GreyOptions:
    """Grey options of the training pictures: from the file, or for earlier versions from its pixel store."""
    own = path.absolute().parents
    roots = [*own[4:5], *([means.root] if means.root is not None else [])]
    known = [content.get("grey"), *(store_options(Workspace(root), content["store"]) for root in roots)]
    found = next((each for each in known if each), None)
    if found is None:
        raise UserError(
            f"{path.name}: does not say how its pictures were made, and pixel store {content['store']} is missing; "
            f"name its workspace with --workspace"
        )
    return GreyOptions.model_validate(found)


def _features(where: str, options: Mapping[str, Any], weights: str, means: Means) -> _Numbers:
    chosen = FeatureOptions.model_validate(options)

    def measured(pictures: Pictures) -> Array:
        return Features(chosen).measure(pictures.values, pictures.boxes)

    return _Numbers(digest_of({"features": chosen.model_dump(mode="json")}), measured)


def _vectors(where: str, options: Mapping[str, Any], weights: str, means: Means) -> _Numbers:
    from xray_mining.networks.weights import find_weights

    chosen = EmbeddingOptions.model_validate(options)
    if Path(chosen.weights).suffix:
        chosen = chosen.model_copy(update={"weights": str(_weights_file(where, chosen.weights, weights, means))})
    source = find_weights(chosen.backbone, chosen.weights, chosen.weights_licence)
    if weights and source.digest != weights:
        raise UserError(
            f"{where}: the installed weights of {chosen.backbone} differ from those that it was trained with; install "
            f"those, or train its experiment again"
        )
    name = digest_of({"embeddings": chosen.model_dump(mode="json"), "weights": source.digest})

    def measured(pictures: Pictures) -> Array:
        from xray_mining.networks.device import enough_memory

        with enough_memory(chosen.backbone, chosen.batch_size, chosen.side_px):
            embedder = _embedder(name, chosen, means)
            starts = range(0, len(pictures.values), chosen.batch_size)
            found = [embedder.vectors(pictures.values[at : at + chosen.batch_size]) for at in starts]
        # A set stores float32, so round here too: the predictions must be those of the page.
        return np.concatenate(found).astype(np.float32).astype(np.float64)

    return _Numbers(name, measured, source.licence)


def _embedder(name: str, options: EmbeddingOptions, means: Means) -> "Embedder":
    from xray_mining.networks.embedder import Embedder

    if name not in means.loaded:
        means.loaded[name] = Embedder(options)
    return means.loaded[name]


def _weights_file(where: str, name: str, digest: str, means: Means) -> Path:
    """Find the file of frozen weights; a model stores its name and digest, not its folder."""
    from xray_mining.workspace import digest_of_file

    named = [path for path in means.weights if path.name == Path(name).name and path.is_file()]
    found = [path for path in named if not digest or digest_of_file(path) == digest]
    if found:
        return found[0]
    what = "is another file than the one it was trained with" if named else "is not found"
    raise UserError(f"{where}: its weights file {Path(name).name} {what}; name it with --weights FILE")


_SETS: dict[str, Callable[[str, Mapping[str, Any], str, Means], _Numbers]] = {
    "features": _features,
    "embeddings": _vectors,
}
"""Functions that measure the columns of a table, by the key of the sets' options in a model file."""
