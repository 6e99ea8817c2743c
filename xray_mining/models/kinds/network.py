"""The kind `network`: a network trained on the cohort; fits are saved as models/rotation<r>-seed<s>/model.pt."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xray_mining.models.kind import Inputs, ModelKind
from xray_mining.models.options import Options
from xray_mining.models.work import GPU_FACTOR, PROCESS_SECONDS, TORCH_SECONDS, Size, Work, backbone_cost
from xray_mining.networks.options import TrainingOptions
from xray_mining.networks.weights import find_weights, missing_package

if TYPE_CHECKING:
    from xray_mining.ingest.options import GreyOptions
    from xray_mining.models.applied import Applied, Array, Experiment, FromFile, Means, Pictures
    from xray_mining.models.fit import Fit, Fitted
    from xray_mining.models.task import StudyParts, Task
    from xray_mining.networks.prediction import SavedModel
    from xray_mining.pixels.store import PixelStore
    from xray_mining.records.cohort import Target


class NetworkOptions(TrainingOptions, Options):
    """Options of a network trained on the cohort."""

    model: Literal["network"]


class NetworkKind(ModelKind[NetworkOptions]):
    """A backbone and a head, trained on the pixels of the cohort."""

    name = "network"
    options = NetworkOptions
    seeded = True
    predicts_changed = True
    versions = ("xray-mining", "torch", "timm", "pytorch-lightning", "albumentations")

    def refuse(self, where: str, options: NetworkOptions, target: "Target") -> None:
        """Refuse an unknown backbone or loss."""
        from xray_mining.networks.names import refuse_unknown_backbone, refuse_unknown_loss

        refuse_unknown_backbone(options.backbone)
        refuse_unknown_loss(options.loss)

    def missing(self, options: NetworkOptions) -> str:
        """Why the weights are missing, if their package is not installed."""
        return missing_package(options.backbone, options.weights)

    def threads(self, options: NetworkOptions) -> int:
        """Torch uses two cores."""
        return 2

    def work(self, options: NetworkOptions, study: "StudyParts", size: Size) -> Work:
        """Time of training and validation epochs, and of predicting test pictures and their changes."""
        gpu = size.gpu and options.accelerator != "cpu"
        once = 0.08 * (options.side_px / 128) ** 2 * backbone_cost(options.backbone) / (GPU_FACTOR if gpu else 1.0)
        images, folds = size.images, size.folds
        # 0.01 s more for each picture: reading and random changes.
        train = images * max(0, folds - 2) / folds * (once + 0.01)
        tested = (2 * images / folds + size.changed) * once / 3
        validated = options.epochs * images / folds * once / 3
        fits = size.rotations * size.seeds
        seconds = PROCESS_SECONDS + TORCH_SECONDS + fits * (5.0 + options.epochs * train + validated + tested)
        return Work(f"network {options.backbone}", seconds, trains=True)

    def inputs(self, task: "Task[NetworkOptions]") -> Inputs:
        """The pictures, their store and the initial weights."""
        options = task.options
        source = find_weights(options.backbone, options.weights, options.weights_licence)
        found = {
            "pixels": task.members.pixels_digest(),
            "store": task.store,
            "weights": source.digest or source.kind,
        }
        return Inputs(found, {options.backbone: source.licence} if source.licence else {})

    def fit(self, task: "Task[NetworkOptions]", fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
        """Train; an interrupted fit continues from its checkpoint."""
        from xray_mining.models.training import fit_network

        home = task.folder / "models"
        return fit_network(task.workspace, task.options, fit, home, store=_store(task)), {}

    def changed(self, task: "Task[NetworkOptions]", fit: "Fit", keys: list[str], variant: str) -> "Fitted":
        """Predictions of the saved network for changed pictures."""
        from xray_mining.models.fit import Fitted
        from xray_mining.models.training import predict_changed

        home = task.folder / "models" / f"rotation{fit.number}-seed{fit.seed}"
        return Fitted(keys, *predict_changed(home, task.options, _store(task), keys, variant))

    def applied(self, experiment: "Experiment", means: "Means") -> "dict[str, Applied]":
        """One network for each rotation and seed."""
        from xray_mining.models.applied import kept_file

        home = experiment.folder / "models"
        return {fit: network(kept_file(experiment, home / fit / "model.pt"), means) for fit in experiment.fits}

    @property
    def files(self) -> "Mapping[str, FromFile]":
        """Files of trained networks."""
        return {".pt": network}


def _store(task: "Task[NetworkOptions]") -> "PixelStore":
    from xray_mining.pixels.store import PixelStore

    return PixelStore.open(task.workspace, task.store or None)


@dataclass(frozen=True, slots=True)
class _Network:
    saved: "SavedModel"
    target: "Target"
    grey: "GreyOptions"
    licences: tuple[str, ...]

    def of(self, pictures: "Pictures") -> "tuple[Array, Array | None]":
        """Values and spread of the network."""
        return self.saved.predict(pictures.values)


def network(path: Path, means: "Means") -> "Applied":
    """Read the network in a file, without running code from it."""
    from xray_mining.ingest.options import GreyOptions
    from xray_mining.networks.prediction import load_model

    saved = load_model(path)
    licence = str(saved.facts.get("licence") or "")
    grey = GreyOptions.model_validate(dict(saved.facts["grey"]))
    return _Network(saved, saved.target, grey, (licence,) if licence else ())


KIND = NetworkKind()
