"""A trained network as one file, what it says of pictures, and of files that no archive holds."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xray_mining.archive.dicom_file import looks_like_dicom, read_dicom
from xray_mining.archive.picture_file import picture_of
from xray_mining.archive.radiograph import Encoded, Unusable
from xray_mining.errors import UserError, unknown_name
from xray_mining.ingest.options import GreyOptions
from xray_mining.ingest.picture import standardised
from xray_mining.ingest.run import admit
from xray_mining.models.calibration import CalibrationMap
from xray_mining.models.data import PlainBatches, Radiographs, loader, resized
from xray_mining.models.freshness import read_notes
from xray_mining.models.heads import Range, make_head
from xray_mining.models.module import Network
from xray_mining.models.options import NetworkOptions
from xray_mining.progress import progress
from xray_mining.records.cohort import Target
from xray_mining.workspace import Workspace, write_atomically

MODEL_FORMAT = 1


def predict_dataset(
    network: Network,
    dataset: Radiographs,
    batch_size: int,
    device: torch.device,
    *,
    rank: int = 0,
    ranks: int = 1,
    workers: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Rows (n,) of this rank, their values (n,) or (n, classes), and spread (n,) or None."""
    was_training = network.training
    rows, values, spreads = [], [], []
    for batch in loader(dataset, PlainBatches(len(dataset), batch_size, rank, ranks), workers):
        value, spread = network.predict(batch.images.to(device))
        rows.append(batch.rows.numpy())
        values.append(value)
        spreads.append(spread)
    network.train(was_training)
    if not rows:
        return np.empty(0, np.int64), np.empty(0), None
    known = [each for each in spreads if each is not None]
    return np.concatenate(rows), np.concatenate(values), np.concatenate(known) if known else None


@dataclass(frozen=True, slots=True)
class SavedModel:
    """One model file of a finished experiment."""

    network: Network
    facts: Mapping[str, Any]
    """Everything that was saved beside the weights: options, target, range, store, licence, versions, course."""

    @property
    def target(self) -> Target:
        """What it predicts."""
        return _target(self.facts["target"])

    @property
    def options(self) -> NetworkOptions:
        """How it was trained."""
        return NetworkOptions.model_validate(self.facts["options"])

    def predict(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(n, side, side) uint8 or uint16 as in the pixel store → values and spread, as Network.predict."""
        small = resized(pictures, self.options.side_px)
        device = next(self.network.parameters()).device
        values, spreads = [], []
        for at in range(0, len(small), self.options.batch_size):
            images = torch.from_numpy(small[at : at + self.options.batch_size, None])
            value, spread = self.network.predict(images.to(device))
            values.append(value)
            spreads.append(spread)
        known = [each for each in spreads if each is not None]
        return np.concatenate(values), np.concatenate(known) if known else None


def _target(raw: Mapping[str, Any]) -> Target:
    return Target(raw["name"], raw["kind"], raw["unit"], raw["positive"], tuple(raw["classes"]))


def save_model(path: Path, network: Network, facts: Mapping[str, Any]) -> None:
    """Write a model file, whole or not at all."""
    save_tensors(path, {"format": MODEL_FORMAT, **facts, "state": network.state_dict()})


def save_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file for torch.load, whole or not at all; CannotFinish where the disk refuses.

    Through an open file: given a path, torch turns a full disk into a RuntimeError that does not say so.
    """
    with write_atomically(path) as scratch, scratch.open("wb") as file:
        torch.save(dict(content), file)


def load_model(path: Path) -> SavedModel:
    """A model file; UserError where it is not one or of another format. No code in the file is run."""
    from xray_mining.models.backbones import load_backbone
    from xray_mining.models.weights import fit_in

    try:
        facts = torch.load(path, map_location="cpu", weights_only=True)
        version, state = facts.pop("format"), facts.pop("state")
    except Exception as error:
        raise UserError(
            f"{path.name}: is not a model file that can be read ({type(error).__name__}); train its experiment again"
        ) from error
    if version != MODEL_FORMAT:
        raise UserError(f"{path.name}: has format {version}, this xray-mining reads {MODEL_FORMAT}; train it again")
    options = NetworkOptions.model_validate(facts["options"])
    target = _target(facts["target"])
    backbone = load_backbone(options.backbone, "none", "", options.side_px, channels=facts["channels"])
    head = make_head(facts["head"], backbone.width, target, Range(**facts["known"]))
    network = Network(backbone, head, options.dropout)
    fit_in(network, state, path.name)
    return SavedModel(network.eval(), facts)


NOTE = "For research on populations; not for diagnosis."


@dataclass(frozen=True, slots=True)
class FilePrediction:
    """What the models say of one frame of one file."""

    file: str
    frame: int
    value: float | None
    """In the target's unit; for classes the probability of the most likely one."""
    spread: float | None
    """Standard deviation: the models' own and between them; None where one model gives none."""
    label: str
    """The most likely class; empty for a number."""
    probabilities: Mapping[str, float]
    """Class → probability; empty for a number."""
    trouble: str
    """One sentence where the file could not be read; else empty."""


@dataclass(frozen=True, slots=True)
class PredictSummary:
    """Closing summary of `predict`."""

    model: str
    target: str
    unit: str
    models: int
    """Rotations and seeds whose predictions were averaged."""
    licence: str
    """Licence of the pretrained weights; empty where there were none."""
    calibrated: int
    """Models whose values were calibrated, as the page's are; the others' are as they gave them."""
    predictions: tuple[FilePrediction, ...]
    note: str = NOTE

    def lines(self) -> list[str]:
        """A table, then what could not be read, then the note."""
        unit = f" {self.unit}" if self.unit else ""
        width = max([len(each.file) for each in self.predictions], default=0)
        told = []
        for each in self.predictions:
            name = f"{each.file:<{width}}" + (f" [{each.frame}]" if each.frame else "")
            spread = f" ± {each.spread:.3g}" if each.spread is not None else ""
            if each.trouble:
                told.append(f"{name}  {each.trouble}")
            elif each.probabilities:
                told.append(f"{name}  {each.label} ({each.value:.3f}{spread})")
            else:
                told.append(f"{name}  {each.value:.1f}{spread}{unit}")
        read = sum(not each.trouble for each in self.predictions)
        models = "1 model" if self.models == 1 else f"the mean of {self.models} models"
        closing = f"{self.target} of {read} of {len(self.predictions)} radiographs by {self.model}, {models}; "
        closing += f"calibrated on validation patients: {self.calibrated} of {self.models}."
        return [*told, closing, self.note]

    def csv(self) -> str:
        """The same as comma-separated values with a header."""
        classes = sorted({name for each in self.predictions for name in each.probabilities})
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            ["file", "frame", self.target, "spread", *(f"probability_{name}" for name in classes), "trouble"]
        )
        for each in self.predictions:
            shown = each.label if each.probabilities else each.value
            chances = [each.probabilities.get(name) for name in classes]
            writer.writerow([each.file, each.frame, shown, each.spread, *chances, each.trouble])
        return text.getvalue()


def find_models(root: Path, model: str) -> list[Path]:
    """Model files of STUDY/EXPERIMENT in the workspace `root`, or of an experiment's folder, or one file.

    Raises UserError with the nearest name where there is none, and where the experiment is no network.
    """
    path = Path(model)
    if path.suffix == ".pt" and path.is_file():
        return [path]
    folder = path if path.is_dir() else _experiment_folder(root, model)
    found = sorted(folder.rglob("model.pt"))
    if not found:
        raise UserError(
            f"{model}: has no trained network; `predict` applies experiments with model: network, after `train`"
        )
    return found


def _experiment_folder(root: Path, model: str) -> Path:
    workspace = Workspace.open(root)
    study, _, name = model.rpartition("/")
    folder = workspace.experiment(study or "-", name)
    if not folder.is_dir():
        known = [f"{each.parent.name}/{each.name}" for each in (workspace.root / "experiments").glob("*/*")]
        raise unknown_name("model", model, known)
    return folder


def predict_files(root: Path, model: str, files: Sequence[Path]) -> PredictSummary:
    """What a finished experiment's networks, averaged, say of DICOM, PNG, JPEG or TIFF files (folders are walked).

    Files go through the same decoding and grey steps as those the networks were trained on. One that cannot be read
    is one row with its sentence. Raises UserError where there is no such model or no file.
    """
    homes = find_models(root, model)
    models = [load_model(path) for path in homes]
    maps = [calibration_of(path) for path in homes]
    paths = [each for path in files for each in _files_of(path)]
    if not paths:
        raise UserError("images: no file is named; give DICOM, PNG or JPEG files, or a folder that holds some")
    options = GreyOptions.model_validate(dict(models[0].facts["grey"]))
    rows: list[FilePrediction] = []
    with progress(len(paths), "predict") as bar:
        for path in paths:
            for frame, picture, trouble in _pictures_of(path, options):
                if picture is None:
                    rows.append(FilePrediction(str(path), frame, None, None, "", {}, trouble))
                else:
                    rows.append(_said(models, maps, str(path), frame, picture))
            bar.advance()
    target = models[0].target
    licences = sorted({str(each.facts["licence"]) for each in models} - {""})
    mapped = sum(each is not None for each in maps)
    return PredictSummary(model, target.name, target.unit, len(models), ", ".join(licences), mapped, tuple(rows))


def calibration_of(path: Path) -> CalibrationMap | None:
    """The map of EXPERIMENT/models/rotation<r>-seed<s>/model.pt; None where its values are kept as they are.

    A model file outside its experiment's folder has no map. Raises UserError where the experiment's notes do not say.
    """
    fits = read_notes(path.absolute().parents[2]).get("fits") if len(path.absolute().parents) > 2 else None
    if fits is None:
        return None
    found = (fits.get(path.parent.name) or {}).get("calibration")
    if found is None:
        raise UserError(f"{path.parent.name}: experiment.json does not say how it is calibrated; train it again")
    return None if isinstance(found, str) else CalibrationMap.from_json(found)


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    return [path]


def _pictures_of(path: Path, options: GreyOptions) -> Iterator[tuple[int, np.ndarray | None, str]]:
    """Frame number and picture (side, side), or None and the sentence that says why not."""
    try:
        data = path.read_bytes()
    except OSError as error:
        yield 0, None, f"The file cannot be opened ({error.strerror})."
        return
    try:
        for frame, encoded in _encoded_of(data):
            try:
                yield frame, standardised(encoded, options).grey.picture, ""
            except Unusable as trouble:
                yield frame, None, trouble.sentence
    except Unusable as trouble:
        yield 0, None, trouble.sentence


def _encoded_of(data: bytes) -> Iterator[tuple[int, Encoded]]:
    if not data:
        raise Unusable("open", "empty_file", "The file is empty.")
    if not looks_like_dicom(data) and data[:2] != b"\x1f\x8b":
        try:
            encoded = picture_of(data)
        except Unusable as trouble:
            if trouble.reason != "not_an_image":
                raise
            words = "The file is neither DICOM nor a PNG, JPEG, TIFF or BMP picture."
            raise Unusable(trouble.stage, trouble.reason, words) from trouble
        yield 0, encoded
        return
    for radiograph in read_dicom(data):
        admit(radiograph.header)
        if radiograph.trouble is not None:
            raise radiograph.trouble
        if radiograph.encoded is None:
            raise Unusable("decode", "no_pixels", "The file holds no picture.")
        yield radiograph.frame, radiograph.encoded


def _said(
    models: Sequence[SavedModel], maps: Sequence[CalibrationMap | None], file: str, frame: int, picture: np.ndarray
) -> FilePrediction:
    """The mean of the models, each calibrated by its map.

    The spread is the root of their mean variance and the variance between them.
    """
    said = [each.predict(picture[None]) for each in models]
    pairs = zip(said, maps, strict=True)
    values = np.stack([(value if each is None else each.of(value))[0] for (value, _), each in pairs])
    own = [float(spread[0]) ** 2 for _, spread in said if spread is not None]
    classes = models[0].target.classes if values.ndim == 2 else ()
    mean = values.mean(0)
    place = int(mean.argmax()) if classes else 0
    column = values[:, place] if classes else values
    known = bool(own) or len(models) > 1
    variance = float(column.var(ddof=1) if len(models) > 1 else 0.0) + (float(np.mean(own)) if own else 0.0)
    return FilePrediction(
        file,
        frame,
        float(column.mean()),
        float(np.sqrt(variance)) if known else None,
        classes[place] if classes else "",
        {name: float(share) for name, share in zip(classes, mean, strict=True)} if classes else {},
        "",
    )
