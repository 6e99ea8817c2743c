"""Predictions of a fitted model for files outside any archive: DICOM, PNG, JPEG, TIFF and BMP."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xray_mining.errors import UserError, unknown_name
from xray_mining.ingest.files import Frame, files_at, read_files
from xray_mining.models.applied import Applied, Array, Experiment, Means, Pictures, fits_of, readers_of_files
from xray_mining.models.calibration import CalibrationMap
from xray_mining.models.notes import read_notes
from xray_mining.models.targets import TARGETS
from xray_mining.progress import progress
from xray_mining.study.current import refuse_stale_model, weights_files
from xray_mining.workspace import Workspace, times_of

NOTE = "For research on populations; not for diagnosis."


@dataclass(frozen=True, slots=True)
class FilePrediction:
    """Prediction for one frame of one file."""

    file: str
    frame: int
    value: float | None
    """Number in the target's unit, or expected level; for classes the largest probability; None for labels."""
    spread: float | None
    """Standard deviation, from the models' own spread and the differences between them; None if unknown."""
    label: str
    """The most likely class or level; empty for a number and for several labels."""
    probabilities: Mapping[str, float]
    """Probability of each class, level or label; empty for a number."""
    trouble: str
    """One sentence if the file could not be read; else empty."""
    reason: str = ""
    """The reason as one word, as in the table `rejects`."""
    flags: tuple[str, ...] = ()
    """Quality flags of the picture, as in the column `quality_flags` of `images`."""


@dataclass(frozen=True, slots=True)
class PredictSummary:
    """Closing summary of `predict`."""

    model: str
    target: str
    unit: str
    models: int
    """Number of fits (rotations and seeds) whose predictions were averaged."""
    licence: str
    """Licence of the pretrained weights; empty if there are none."""
    calibrated: int
    """Number of fits whose values were calibrated, as on the page; the others are used uncalibrated."""
    predictions: tuple[FilePrediction, ...]
    note: str = NOTE

    def lines(self) -> list[str]:
        """One line for each picture or unreadable file, then a summary and the note."""
        unit = f" {self.unit}" if self.unit else ""
        width = max([len(each.file) for each in self.predictions], default=0)
        rows = []
        for each in self.predictions:
            name = f"{each.file:<{width}}" + (f" [{each.frame}]" if each.frame else "")
            spread = f" ± {each.spread:.3g}" if each.spread is not None else ""
            flags = f"  [{', '.join(each.flags)}]" if each.flags else ""
            if each.trouble:
                rows.append(f"{name}  {each.trouble}")
            elif each.value is None:
                ranked = sorted(each.probabilities.items(), key=lambda item: (-item[1], item[0]))
                rows.append(f"{name}  {', '.join(f'{label} {share:.3f}' for label, share in ranked)}{flags}")
            elif each.probabilities:
                rows.append(f"{name}  {each.label} ({each.value:.3f}{spread}){flags}")
            else:
                rows.append(f"{name}  {each.value:.1f}{spread}{unit}{flags}")
        read = sum(not each.trouble for each in self.predictions)
        models = "1 model" if self.models == 1 else f"the mean of {self.models} models"
        closing = f"{self.target} of {read} of {len(self.predictions)} radiographs by {self.model}, {models}; "
        closing += f"calibrated on validation patients: {self.calibrated} of {self.models}."
        return [*rows, closing, self.note]

    def csv(self) -> str:
        """The predictions as comma-separated values with a header; flags are separated by spaces."""
        classes = sorted({name for each in self.predictions for name in each.probabilities})
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        chances = [f"probability_{name}" for name in classes]
        writer.writerow(["file", "frame", self.target, "spread", *chances, "flags", "reason", "trouble"])
        for each in self.predictions:
            shown = each.label if each.probabilities else each.value
            shares = [each.probabilities.get(name) for name in classes]
            notes = [" ".join(each.flags), each.reason, each.trouble]
            writer.writerow([each.file, each.frame, shown, each.spread, *shares, *notes])
        return text.getvalue()


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A fit, and the calibration map for its values."""

    applied: Applied
    calibration: CalibrationMap | None

    def of(self, pictures: Pictures) -> tuple[Array, Array | None]:
        """Calibrated values, and the fit's own spread."""
        values, spread = self.applied.of(pictures)
        return (values if self.calibration is None else self.calibration.of(values)), spread


def predict(
    workspace: Workspace,
    model: str,
    images: Sequence[Path],
    weights: Sequence[Path] = (),
    jobs: int | None = None,
) -> PredictSummary:
    """Apply a model of a workspace to new files, like `predict_files`.

    Weights of frozen networks that the study file names need not be given.

    Args:
        workspace: The workspace; if it is kept open, the model stays loaded.
        model: STUDY/EXPERIMENT, an experiment's folder, or a fit's file.
        images: Files, or folders of them.
        weights: Further weights files of frozen networks.
        jobs: Processes that read files; by default one for each core.

    Returns:
        One prediction for each frame, in the order of the files.

    Raises:
        UserError: If the model or file is missing, or the model cannot be applied to pictures.
        CheckFailed: If the model is stale: its study file has changed since it was trained.

    Example:
        >>> predict(workspace, "s/ridge", [picture], jobs=1).models
        1
    """
    study, _, experiment = model.rpartition("/")
    known = (*weights, *weights_files(model, workspace))
    if Path(model).exists() or workspace.opened is None:
        if not Path(model).exists():
            refuse_stale_model(study, experiment, workspace)
        return predict_files(workspace.root, model, images, weights=known, jobs=jobs)
    refuse_stale_model(study, experiment, workspace)
    # Reload the model if any experiment of the study has changed, because an ensemble reads its members' files.
    home = workspace.root / "experiments" / study
    watched = [*home.glob("*/experiment.json"), *home.glob("*/predictions"), *home.glob("*/models"), *known]
    chosen = workspace.opened.get(
        ("model", model, known), lambda: _chosen(workspace.root, model, known), times_of(sorted(watched))
    )
    return _predicted(chosen, model, images, jobs, None)


def predict_files(
    root: Path,
    model: str,
    files: Sequence[Path],
    *,
    weights: Sequence[Path] = (),
    jobs: int | None = None,
    file_limit_s: float | None = None,
) -> PredictSummary:
    """Average the predictions of an experiment's fits for DICOM, PNG, JPEG, TIFF or BMP files.

    Files are decoded, checked and converted to grey in the same way as the training pictures. A file that cannot be
    read, or that crashes its reader, gives one row with a sentence.

    Args:
        root: The workspace, if `model` is STUDY/EXPERIMENT.
        model: STUDY/EXPERIMENT, an experiment's folder, or a fit's file or folder.
        files: Files, folders of them, or packed files.
        weights: Weights files of frozen networks; a model stores only their name and digest.
        jobs: Processes that read files; by default one for each core.
        file_limit_s: Time limit for one file in seconds; by default that of `ingest`.

    Returns:
        One prediction for each frame, in the order of the files.

    Raises:
        UserError: If the model or file is missing, or the model cannot be applied to pictures.

    Example:
        >>> found = predict_files(workspace.root, "s/ridge", [picture], jobs=1)
        >>> found.target, found.unit, found.predictions[0].reason
        ('years', 'years', '')
    """
    return _predicted(_chosen(root, model, weights), model, files, jobs, file_limit_s)


def _predicted(
    chosen: Sequence[_Chosen], model: str, files: Sequence[Path], jobs: int | None, file_limit_s: float | None
) -> PredictSummary:
    given = files_at(files)
    if not given:
        raise UserError("images: no file was found; give DICOM, PNG or JPEG files, or a folder with such files")
    target, grey = chosen[0].applied.target, chosen[0].applied.grey
    rows: list[tuple[int, int, FilePrediction]] = []
    with progress(len(given), "predict", unit="files") as bar:
        for some in read_files(given, grey, jobs, file_limit_s):
            combined = _combined(chosen, [each for each in some.frames if each.picture is not None])
            for frame in some.frames:
                said = next(combined) if frame.picture is not None else _Combined(None, None, "", {})
                rows.append((frame.file, frame.frame, said.of(given[frame.file].name, frame)))
            bar.advance(some.files)
    rows.sort(key=lambda row: row[:2])
    licences = sorted({licence for each in chosen for licence in each.applied.licences})
    mapped = sum(each.calibration is not None for each in chosen)
    predictions = tuple(row[2] for row in rows)
    return PredictSummary(model, target.name, target.unit, len(chosen), ", ".join(licences), mapped, predictions)


@dataclass(frozen=True, slots=True)
class _Combined:
    """The combined prediction of all fits for one picture."""

    value: float | None
    spread: float | None
    label: str
    probabilities: Mapping[str, float]

    def of(self, file: str, frame: Frame) -> FilePrediction:
        """The prediction with the file and frame that it belongs to."""
        return FilePrediction(
            file,
            frame.frame,
            self.value,
            self.spread,
            self.label,
            self.probabilities,
            frame.sentence,
            frame.reason,
            frame.flags,
        )


def _combined(chosen: Sequence[_Chosen], frames: Sequence[Frame]) -> Iterator[_Combined]:
    """The mean of the calibrated predictions of all fits, for each frame.

    The spread is the square root of the sum of two variances: the mean variance stated by the fits, and the variance
    between the fits.
    """
    shown = [each.picture for each in frames if each.picture is not None]
    if not shown:
        return
    pictures = Pictures(np.stack(shown), np.array([each.box for each in frames]))
    said = [each.of(pictures) for each in chosen]
    values = np.stack([value for value, _ in said])
    own = [np.asarray(spread, np.float64) ** 2 for _, spread in said if spread is not None]
    target = chosen[0].applied.target
    kind = TARGETS.find(target.kind)
    for row in range(len(frames)):
        read = kind.read(values[:, row], target)
        if read.values is None:
            yield _Combined(None, None, read.label, read.probabilities)
            continue
        variance = float(read.values.var(ddof=1)) if len(chosen) > 1 else 0.0
        variance += float(np.mean([each[row] for each in own])) if own else 0.0
        spread = float(np.sqrt(variance)) if own or len(chosen) > 1 else None
        yield _Combined(float(read.values.mean()), spread, read.label, read.probabilities)


def _chosen(root: Path, model: str, weights: Sequence[Path]) -> list[_Chosen]:
    """The fits that `model` names; UserError if there are none, or if they have different targets or picture sizes."""
    path = Path(model)
    folder = path if path.exists() else _experiment_folder(root, model)
    experiment = Experiment.at(folder, model) if folder.is_dir() else None
    means = Means(root if experiment is None else folder.absolute().parents[2], tuple(weights))
    if experiment is not None:
        found = [
            _Chosen(applied, calibration_of(experiment.notes, fit))
            for fit, applied in fits_of(experiment, means).items()
        ]
    else:
        found = [_of_file(each, means) for each in _files_of_fits(folder, model)]
    tasks = {(each.applied.target.name, each.applied.target.classes, each.applied.grey) for each in found}
    if len(tasks) > 1:
        raise UserError(f"{model}: has models of several targets or pixel stores; name one experiment")
    return found


def _files_of_fits(place: Path, model: str) -> list[Path]:
    """A fit's file, or all fits in a folder that is not an experiment (a fit's own folder, or copied models)."""
    known = readers_of_files()
    if place.is_file():
        if place.suffix not in known:
            raise UserError(f"{model}: is not a model file; their names end in {' or '.join(sorted(known))}")
        return [place]
    found = sorted(each for each in place.rglob("*") if each.suffix in known and each.is_file())
    homes = {each.parent for each in place.rglob("experiment.json")}
    if len(homes) > 1:
        raise UserError(f"{model}: has {len(homes)} experiments; name one of them")
    if not found:
        raise UserError(f"{model}: has no trained network and no other fitted model; `xray-mining train` makes them")
    return found


def _of_file(path: Path, means: Means) -> _Chosen:
    """The fit in a file, with its calibration map if the file is in its experiment's folder."""
    applied = readers_of_files()[path.suffix](path, means)
    above = path.absolute().parents
    # models/rotation0-seed0/model.pt, models/rotation0-seed-1.joblib
    for fit, folder in ((path.parent.name, above[2:3]), (path.stem, above[1:2])):
        notes = read_notes(folder[0]) if folder else {}
        if fit in (notes.get("fits") or {}):
            return _Chosen(applied, calibration_of(notes, fit))
    return _Chosen(applied, None)


def _experiment_folder(root: Path, model: str) -> Path:
    workspace = Workspace.open(root)
    study, _, name = model.rpartition("/")
    folder = workspace.experiment(study or "-", name)
    if not folder.is_dir():
        known = [f"{each.parent.name}/{each.name}" for each in (workspace.root / "experiments").glob("*/*")]
        raise unknown_name("model", model, known)
    return folder


def calibration_of(notes: Mapping[str, object], fit: str) -> CalibrationMap | None:
    """The calibration map of a fit from its experiment's notes; None if its values are not calibrated.

    Raises UserError if the notes do not say how the fit is calibrated.
    """
    fits = notes.get("fits")
    found = (fits.get(fit) or {}).get("calibration") if isinstance(fits, Mapping) else None
    if found is None:
        raise UserError(f"{fit}: experiment.json does not say how it is calibrated; train it again")
    return None if isinstance(found, str) else CalibrationMap.from_json(found)
