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
    """What the models say of one frame of one file."""

    file: str
    frame: int
    value: float | None
    """In the target's unit, or the expected level; for classes the probability of the likeliest; None for labels."""
    spread: float | None
    """Standard deviation: the models' own and between them; None where it is unknown."""
    label: str
    """The most likely class or level; empty for a number and for several labels."""
    probabilities: Mapping[str, float]
    """Class, level or label → probability; empty for a number."""
    trouble: str
    """One sentence where the file could not be read; else empty."""
    reason: str = ""
    """The same as a word, as in the table `rejects`."""
    flags: tuple[str, ...] = ()
    """Quality flags of the picture, as in the column `quality_flags` of `images`."""


@dataclass(frozen=True, slots=True)
class PredictSummary:
    """Closing summary of `predict`."""

    model: str
    target: str
    unit: str
    models: int
    """Rotations and seeds whose predictions were averaged."""
    licence: str
    """Licence of the pretrained weights; empty without such weights."""
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
            flags = f"  [{', '.join(each.flags)}]" if each.flags else ""
            if each.trouble:
                told.append(f"{name}  {each.trouble}")
            elif each.value is None:
                ranked = sorted(each.probabilities.items(), key=lambda item: (-item[1], item[0]))
                told.append(f"{name}  {', '.join(f'{label} {share:.3f}' for label, share in ranked)}{flags}")
            elif each.probabilities:
                told.append(f"{name}  {each.label} ({each.value:.3f}{spread}){flags}")
            else:
                told.append(f"{name}  {each.value:.1f}{spread}{unit}{flags}")
        read = sum(not each.trouble for each in self.predictions)
        models = "1 model" if self.models == 1 else f"the mean of {self.models} models"
        closing = f"{self.target} of {read} of {len(self.predictions)} radiographs by {self.model}, {models}; "
        closing += f"calibrated on validation patients: {self.calibrated} of {self.models}."
        return [*told, closing, self.note]

    def csv(self) -> str:
        """The same as comma-separated values with a header; flags are divided by spaces."""
        classes = sorted({name for each in self.predictions for name in each.probabilities})
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        chances = [f"probability_{name}" for name in classes]
        writer.writerow(["file", "frame", self.target, "spread", *chances, "flags", "reason", "trouble"])
        for each in self.predictions:
            shown = each.label if each.probabilities else each.value
            shares = [each.probabilities.get(name) for name in classes]
            told = [" ".join(each.flags), each.reason, each.trouble]
            writer.writerow([each.file, each.frame, shown, each.spread, *shares, *told])
        return text.getvalue()


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A fit that is applied, and the map that its values go through."""

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
    """`predict_files` for a model of a workspace: CheckFailed where it is not what its study file asks for today.

    Weights of frozen networks that the study file names need not be given.
    """
    study, _, experiment = model.rpartition("/")
    known = (*weights, *weights_files(model, workspace))
    if Path(model).exists() or workspace.opened is None:
        if not Path(model).exists():
            refuse_stale_model(study, experiment, workspace)
        return predict_files(workspace.root, model, images, weights=known, jobs=jobs)
    refuse_stale_model(study, experiment, workspace)
    # An ensemble's members are experiments of the same study, so all of them are watched.
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
    """What a finished experiment's fits, averaged, say of DICOM, PNG, JPEG, TIFF or BMP files (folders are walked).

    Files go through the same guarded decoding, comparing and grey steps as those that the models were trained on. One
    that cannot be read, or takes its reader down, is one row with its sentence.

    Args:
        root: The workspace, where `model` is STUDY/EXPERIMENT.
        model: That, or an experiment's folder, or a fit's file or folder.
        files: Files, folders of them, or packed files.
        weights: Weights files of frozen networks, which a model knows by name and digest only.
        jobs: Processes that read files; by default one a core.
        file_limit_s: Seconds after which a file that hangs is given up; by default as in `ingest`.

    Raises:
        UserError: There is no such model or no file, or the model cannot be applied to pictures.
    """
    return _predicted(_chosen(root, model, weights), model, files, jobs, file_limit_s)


def _predicted(
    chosen: Sequence[_Chosen], model: str, files: Sequence[Path], jobs: int | None, file_limit_s: float | None
) -> PredictSummary:
    given = files_at(files)
    if not given:
        raise UserError("images: no file is named; give DICOM, PNG or JPEG files, or a folder that holds some")
    target, grey = chosen[0].applied.target, chosen[0].applied.grey
    rows: list[tuple[int, int, FilePrediction]] = []
    with progress(len(given), "predict", unit="files") as bar:
        for some in read_files(given, grey, jobs, file_limit_s):
            told = _told(chosen, [each for each in some.frames if each.picture is not None])
            for frame in some.frames:
                said = next(told) if frame.picture is not None else _Said(None, None, "", {})
                rows.append((frame.file, frame.frame, said.of(given[frame.file].name, frame)))
            bar.advance(some.files)
    rows.sort(key=lambda row: row[:2])
    licences = sorted({licence for each in chosen for licence in each.applied.licences})
    mapped = sum(each.calibration is not None for each in chosen)
    predictions = tuple(row[2] for row in rows)
    return PredictSummary(model, target.name, target.unit, len(chosen), ", ".join(licences), mapped, predictions)


@dataclass(frozen=True, slots=True)
class _Said:
    """What all fits together say of a picture."""

    value: float | None
    spread: float | None
    label: str
    probabilities: Mapping[str, float]

    def of(self, file: str, frame: Frame) -> FilePrediction:
        """The same as a row of a file."""
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


def _told(chosen: Sequence[_Chosen], frames: Sequence[Frame]) -> Iterator[_Said]:
    """The mean of the fits for each frame, each calibrated by its map.

    The spread is the root of their mean variance and the variance between them.
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
            yield _Said(None, None, read.label, read.probabilities)
            continue
        variance = float(read.values.var(ddof=1)) if len(chosen) > 1 else 0.0
        variance += float(np.mean([each[row] for each in own])) if own else 0.0
        spread = float(np.sqrt(variance)) if own or len(chosen) > 1 else None
        yield _Said(float(read.values.mean()), spread, read.label, read.probabilities)


def _chosen(root: Path, model: str, weights: Sequence[Path]) -> list[_Chosen]:
    """The fits that `model` names. UserError if there is no fit, or if they are of several tasks."""
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
        raise UserError(f"{model}: holds models of several targets or pixel stores; name one experiment of them")
    return found


def _files_of_fits(place: Path, model: str) -> list[Path]:
    """A fit's file, or all in a folder that is no experiment's (a fit's own folder, one of copied models)."""
    known = readers_of_files()
    if place.is_file():
        if place.suffix not in known:
            raise UserError(f"{model}: is no model file; those end in {' or '.join(sorted(known))}")
        return [place]
    found = sorted(each for each in place.rglob("*") if each.suffix in known and each.is_file())
    homes = {each.parent for each in place.rglob("experiment.json")}
    if len(homes) > 1:
        raise UserError(f"{model}: holds {len(homes)} experiments; name one of them")
    if not found:
        raise UserError(f"{model}: has no trained network and no other fitted model; `xray-mining train` makes them")
    return found


def _of_file(path: Path, means: Means) -> _Chosen:
    """The fit in a file, and its calibration map where the file is in its experiment's folder."""
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
    """The map of a fit by its experiment's notes; None where its values are kept as they are.

    Raises UserError where the notes do not say.
    """
    fits = notes.get("fits")
    found = (fits.get(fit) or {}).get("calibration") if isinstance(fits, Mapping) else None
    if found is None:
        raise UserError(f"{fit}: experiment.json does not say how it is calibrated; train it again")
    return None if isinstance(found, str) else CalibrationMap.from_json(found)
