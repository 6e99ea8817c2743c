"""A phantom archive: its patients are drawn one by one, so that each depends only on seed and number."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from xray_mining.errors import CannotFinish, UserError, disk_error
from xray_mining.phantom import plant as planting
from xray_mining.phantom.acquisition import TRANSFER_SYNTAXES, Acquisition, draw_acquisition
from xray_mining.phantom.anatomy import draw_person
from xray_mining.phantom.plant import Patient, Visit
from xray_mining.progress import progress
from xray_mining.workspace import write_atomically, write_frame, write_json

FORMAT = 1
BLOCK = 40  # patients per block, the unit of work and of resuming
DONE, PLAN, PARTS = "phantom.json", ".plan.json", ".parts"


@dataclass(frozen=True)
class Parameters:
    """Parameters of an archive; the same parameters give the same bytes."""

    patients: int
    seed: int
    size: int = 512
    plant: tuple[str, ...] = ()

    def stated(self) -> dict[str, Any]:
        """The content of phantom.json."""
        return {
            "format": FORMAT, "patients": self.patients, "seed": self.seed, "size": self.size,
            "plant": list(self.plant),
        }  # fmt: skip


@dataclass(frozen=True)
class PhantomSummary:
    """Summary of the archive."""

    archive: str
    patients: int
    instances: int
    files: int
    written: bool

    def lines(self) -> list[str]:
        """The summary as text."""
        counts = f"{self.patients:,} patients, {self.instances:,} radiographs in {self.files:,} DICOM files"
        return [f"{self.archive}: {counts}" + ("" if self.written else " (was there already)")]


def write_archive(
    target: Path, parameters: Parameters, jobs: int | None = None, if_absent: bool = False
) -> PhantomSummary:
    """Write a phantom archive into a folder; an interrupted run continues after its last complete block.

    Raises UserError if the folder holds other files, CannotFinish if the disk refuses.
    """
    parameters = replace(parameters, plant=tuple(each.name for each in planting.chosen(parameters.plant)))
    _check(parameters, jobs)
    if (target / DONE).is_file():
        return _there_already(target, parameters, if_absent)
    _claim(target, parameters)
    blocks = range(0, parameters.patients, BLOCK)
    waiting = [first for first in blocks if not _part(target, first).is_file()]
    workers = min(jobs or len(os.sched_getaffinity(0)), max(len(waiting), 1))
    with progress(len(blocks), "phantom", "blocks", done=len(blocks) - len(waiting)) as bar:
        for _ in _all_blocks(target, parameters, waiting, workers):
            bar.advance()
    return _close(target, parameters)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON; remove the folder and write the archive again") from error


def _check(parameters: Parameters, jobs: int | None) -> None:
    for name, value, low, high in (
        ("--patients", parameters.patients, 1, 10_000_000),
        ("--seed", parameters.seed, 0, 2**32 - 1),
        ("--size", parameters.size, 64, 4096),
        ("--jobs", jobs or 1, 1, 1024),
    ):
        if not low <= value <= high:
            raise UserError(f"{name}: {value} is not possible; give a whole number from {low} to {high}")


def _there_already(target: Path, parameters: Parameters, if_absent: bool) -> PhantomSummary:
    import polars as pl

    stated = _read_json(target / DONE)
    if not if_absent:
        raise UserError(f"{target}: holds a finished phantom archive; name another folder, or add --if-absent")
    if stated != parameters.stated():
        differing = ", ".join(key for key, value in parameters.stated().items() if stated.get(key) != value)
        raise UserError(f"{target}: holds a phantom archive with other {differing}; name another folder or remove it")
    instances = pl.scan_parquet(target / "truth.parquet").select(pl.len()).collect().item()
    files = pl.scan_parquet(target / "files.parquet").select(pl.len()).collect().item()
    return PhantomSummary(str(target), parameters.patients, instances, files, written=False)


def _claim(target: Path, parameters: Parameters) -> None:
    """Make the folder, or continue an interrupted archive of the same parameters and remove incomplete files."""
    if target.exists() and not target.is_dir():
        raise UserError(f"{target}: is a file; name a folder")
    if (target / PLAN).is_file():
        if _read_json(target / PLAN) != parameters.stated():
            raise UserError(
                f"{target}: holds an unfinished phantom archive with other parameters; give the same, or name another "
                f"folder"
            )
        for folder in (target / "dicom", target / "masks"):
            for orphan in folder.rglob(".*.partial"):
                orphan.unlink(missing_ok=True)
        return
    if target.exists() and any(each for each in target.iterdir() if not each.name.endswith(".partial")):
        raise UserError(f"{target}: exists and holds other files; name an empty or a new folder")
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, target) from error
    write_json(parameters.stated(), target / PLAN)


def _part(target: Path, first: int) -> Path:
    return target / PARTS / f"{first // BLOCK:06d}.parquet"


def _all_blocks(target: Path, parameters: Parameters, waiting: list[int], workers: int) -> Iterator[int]:
    if workers <= 1 or len(waiting) <= 1:
        for first in waiting:
            yield write_block(target, parameters, first)
        return
    # spawn, not fork: the caller may have threads. At most as many blocks in flight as workers, so that an interrupt
    # loses little.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_quiet)
    try:
        left = iter(waiting)
        running: set[Future[int]] = set()
        for first in left:
            running.add(pool.submit(write_block, target, parameters, first))
            if len(running) >= workers + 1:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (each.result() for each in done)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (each.result() for each in done)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _quiet() -> None:
    """Workers ignore Ctrl-C (the parent handles it) and use one thread each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import cv2

    cv2.setNumThreads(1)


def plan_patient(parameters: Parameters, number: int) -> tuple[Patient, date, date]:
    """Patient `number` (from 0) with all plants, birth date and date of the first visit.

    Age and sex follow a low-discrepancy sequence (R2; Roberts 2018), so that every year of age from 20 to 89 has equal
    numbers of women and men, for any number of patients.
    """
    from xray_mining.phantom.dicom_writer import study_date

    start = np.random.default_rng([parameters.seed, 7]).random(2)
    golden = 1.32471795724474602596
    age = 20 + 70 * ((start[0] + (number + 1) / golden) % 1)
    sex = "F" if (start[1] + (number + 1) / golden**2) % 1 < 0.5 else "M"
    rng = np.random.default_rng([parameters.seed, number, 0])
    person = draw_person(sex, rng)
    first = study_date(rng)
    birth = first - timedelta(days=round(float(age) * 365.25))
    truth: dict[str, planting.Truth] = {"null_group": "AB"[int(rng.integers(2))]}
    patient = Patient(number, person, (first - birth).days / 365.25, [Visit(0, draw_acquisition(rng), truth=truth)])
    for each in planting.chosen(parameters.plant):
        each.apply(patient, np.random.default_rng([parameters.seed, number, 1, each.place]))
    return patient, birth, first


def write_block(target: Path, parameters: Parameters, first: int) -> int:
    """Write the patients of one block, their masks, and last the block's truth part; returns its first patient."""
    import polars as pl

    from xray_mining.phantom import truth

    known = truth.columns(planting.chosen(parameters.plant))
    rows: list[dict[str, float | str | None]] = []
    files: list[dict[str, str]] = []
    try:
        for number in range(first, min(first + BLOCK, parameters.patients)):
            for row, held in _write_patient(target, parameters, number):
                rows.append(row)
                files += held
        part = _part(target, first)
        write_frame(pl.DataFrame(files), part.with_suffix(".files"))
        write_frame(truth.frame(rows, known), part)
    except OSError as error:
        raise disk_error(error, target) from error
    except CannotFinish:
        raise
    return first


def _write_patient(
    target: Path, parameters: Parameters, number: int
) -> Iterator[tuple[dict[str, float | str | None], list[dict[str, str]]]]:
    patient, birth, first = plan_patient(parameters, number)
    for index, visit in enumerate(patient.visits):
        day = first + timedelta(days=visit.days)
        yield _write_visit(target, parameters, patient, index, birth=birth, day=day, alias=False)
    if patient.alias is not None:
        patient.visits[0].truth["leak_of"] = f"PH{number:07d}"
        yield _write_visit(target, parameters, patient, 0, birth=birth, day=first, alias=True)


def _write_masks(folder: Path, instance: str, masks: "np.ndarray") -> None:
    """Write a bit field of structures as INSTANCE.png, atomically."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    coded = cv2.imencode(".png", masks, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
    scratch = folder / f".{instance}.png.partial"
    scratch.write_bytes(coded)
    scratch.replace(folder / f"{instance}.png")


def _write_visit(
    target: Path, parameters: Parameters, patient: Patient, index: int, *, birth: date, day: date, alias: bool
) -> tuple[dict[str, float | str | None], list[dict[str, str]]]:
    from xray_mining.phantom import dicom_writer
    from xray_mining.phantom.projection import project
    from xray_mining.phantom.subject import Subject

    visit = patient.visits[index]
    # Every purpose has its own random stream, so that an added plant or visit changes nothing else.
    seeds = (parameters.seed, patient.number, 2, index)
    anatomy = patient.person.anatomy(patient.age_years + visit.days / 365.25)
    subject = Subject(anatomy, (parameters.seed, patient.number, 3), visit.lesions, visit.disease)
    acquisition = visit.acquisition
    # A leaked copy has another patient id and window, and shows the same anatomy.
    number = patient.alias if alias and patient.alias is not None else patient.number
    if alias:
        acquisition = planting.shifted(acquisition, np.random.default_rng([*seeds, 1]))
    projection = project(subject, acquisition, parameters.size, np.random.default_rng(seeds), visit.marks)
    name = (parameters.seed, parameters.size, ",".join(parameters.plant), number, index)
    instance = dicom_writer.uid("instance", *name)
    clock = np.random.default_rng([*seeds, 2]).integers([7, 0, 0], [19, 60, 60])
    header = dicom_writer.Header(
        patient_id=f"PH{number:07d}",
        patient_name=f"Phantom^{number:07d}",
        birth_date=birth,
        sex=patient.person.sex,
        study_date=day,
        study_time="".join(f"{each:02d}" for each in clock),
        study_uid=dicom_writer.uid("study", *name),
        series_uid=dicom_writer.uid("series", *name),
        instance_uid=instance,
        accession=f"A{number:07d}{index:02d}",
    )
    folder = target / "dicom" / f"{patient.number // 100:05d}" / header.patient_id
    folder.mkdir(parents=True, exist_ok=True)
    held: list[dict[str, str]] = []

    def put(path: Path, syntax: str, kind: str, shown: dicom_writer.Header) -> None:
        dicom_writer.write(path, projection, acquisition, shown, syntax)
        held.append({
            "file": str(path.relative_to(target)), "sop_instance_uid": instance, "patient_id": header.patient_id,
            "transfer_syntax_uid": syntax, "duplicate_kind": kind,
            "duplicate_of": held[0]["file"] if held else "",
        })  # fmt: skip

    # Planted duplicates are further files of the same instance: a copy, another syntax, or another header.
    syntax = acquisition.transfer_syntax_uid
    put(folder / f"{index + 1}.dcm", syntax, "", header)
    for copy, kind in enumerate(visit.duplicates, 1):
        path = folder / f"{index + 1}-again{copy}.dcm"
        if kind == "reencoded":
            others = [code for code, _ in TRANSFER_SYNTAXES if code != syntax]
            put(path, others[(patient.number + index) % len(others)], kind, header)
        else:
            put(path, syntax, kind, header if kind == "copy" else replace(header, study_description="Thorax"))
    _write_masks(target / "masks", instance, projection.masks)
    # The truth: what was planted, the anatomy, and measures of this picture; lesions are located in pixels.
    truth = {**visit.truth, **anatomy.truth(), **_measured(projection, acquisition), **_nodules(projection, visit)}
    return {"sop_instance_uid": instance, "patient_id": header.patient_id, **truth}, held


def _nodules(projection: Any, visit: Visit) -> dict[str, float]:
    """Place and diameter of each planted nodule."""
    found = {}
    for place, (column, row, diameter) in enumerate(projection.lesions_px, 1):
        found[f"nodule_{place}_x_px"], found[f"nodule_{place}_y_px"] = float(column), float(row)
        found[f"nodule_{place}_diameter_px"] = float(diameter)
        found[f"nodule_{place}_diameter_mm"] = 2 * visit.lesions[place - 1].radius_mm
    return found


def _measured(projection: Any, acquisition: Acquisition) -> dict[str, float]:
    """The truth of this picture: its geometry and the measures of its masks."""
    pixel = projection.spacing_mm**2 / 100
    right, left, heart = (projection.masks == bit for bit in (1, 2, 4))
    columns = np.flatnonzero(heart.any(axis=0))
    width = float(columns[-1] - columns[0] + 1) * projection.spacing_mm if columns.size else 0.0
    return {
        "rotation_degrees": acquisition.rotation_degrees,
        "inspiration_fraction": acquisition.inspiration_fraction,
        "magnification": projection.magnification,
        "right_lung_area_cm2": float(right.sum()) * pixel,
        "left_lung_area_cm2": float(left.sum()) * pixel,
        "heart_area_cm2": float(heart.sum()) * pixel,
        "projected_heart_width_mm": width,
    }


def _close(target: Path, parameters: Parameters) -> PhantomSummary:
    """Parts → truth.parquet, files.parquet, truth_columns.json; phantom.json is written last."""
    import polars as pl

    from xray_mining.phantom import truth

    firsts = range(0, parameters.patients, BLOCK)
    whole = pl.concat([pl.read_parquet(_part(target, first)) for first in firsts])
    files = pl.concat([pl.read_parquet(_part(target, first).with_suffix(".files")) for first in firsts])
    write_frame(whole, target / "truth.parquet")
    write_frame(files, target / "files.parquet")
    write_json(truth.described(truth.columns(planting.chosen(parameters.plant))), target / "truth_columns.json")
    with write_atomically(target / "README.txt") as scratch:
        scratch.write_text(
            "Synthetic chest radiographs made by xray-mining phantom; no person is shown.\n"
            "dicom/ radiographs, masks/ bit fields (1 right lung, 2 left lung, 4 heart),\n"
            "truth.parquet one row an instance, truth_columns.json its units, files.parquet one row a file.\n",
            encoding="utf-8",
        )
    write_json(parameters.stated(), target / DONE)
    shutil.rmtree(target / PARTS, ignore_errors=True)
    (target / PLAN).unlink(missing_ok=True)
    return PhantomSummary(str(target), parameters.patients, whole.height, files.height, written=True)
