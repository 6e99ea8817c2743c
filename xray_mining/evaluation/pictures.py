"""Pictures of the page: average radiographs by sex and age, and best, median and worst cases."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

import numpy as np
import polars as pl

from xray_mining.catalog.order import latest_of
from xray_mining.errors import UserError
from xray_mining.evaluation.choice import Choice
from xray_mining.evaluation.gather import Gathered
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.evaluation.task import Array, Task
from xray_mining.pixels.store import PixelStore
from xray_mining.records.check_results import CheckRow
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.estimates import PictureRow
from xray_mining.records.images import OVERRULED_FLAGS
from xray_mining.workspace import Workspace

SIDE_PX = 256
IMAGES_AT_MOST = 200
"""Most radiographs in one average; more make no visible difference."""
AGES_AT_MOST = 8
CASES = 4
SHOWN_ALL_THE_SAME = ("low_resolution", *OVERRULED_FLAGS)
"""Radiographs with these quality flags may be on the page.

A low resolution does not matter, because the page's pictures have at most SIDE_PX pixels a side; the other flags are
about wrong headers, not about the picture.
"""
TITLE = "pictures for the page"
SEXES = {"M": "Males", "F": "Females"}


def fit_to_show(attributes: pl.DataFrame) -> pl.DataFrame:
    """The rows of images that the page may show: no burned-in text, and no quality flags but SHOWN_ALL_THE_SAME."""
    flags = pl.col("quality_flags").list.set_difference(list(SHOWN_ALL_THE_SAME)).list.len()
    return attributes.filter(
        (pl.col("quality_flags").is_null() | (flags == 0))
        & (pl.col("burned_in_text").is_null() | (pl.col("burned_in_text") == "no"))
    )


def png(picture: Array, side_px: int = SIDE_PX) -> bytes:
    """Encode a grey picture as PNG without metadata, reduced to at most `side_px` pixels a side.

    Args:
        picture: (side, side) uint8 or uint16.
        side_px: Largest side of the result.

    Raises:
        ValueError: if OpenCV cannot encode it.
    """
    import cv2

    if picture.dtype == np.uint16:
        picture = (picture // 257).astype(np.uint8)
    if picture.shape[0] > side_px:
        picture = cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".png", np.ascontiguousarray(picture), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not done:
        raise ValueError("the picture could not be encoded")
    return data.tobytes()


def drawn(
    workspace: Workspace, found: Gathered, choices: Mapping[str, Choice], options: EvaluationOptions
) -> tuple[list[PictureRow], list[CheckRow]]:
    """Rows of pictures, and checks about cohorts whose pictures cannot be read.

    Average images are made of the largest cohort only, because the cohorts of a study overlap and their averages look
    alike. Cases are made of every task.
    """
    rows: list[PictureRow] = []
    checks: list[CheckRow] = []
    largest = max(found.cohorts.values(), key=lambda cohort: cohort.members().height, default=None)
    for cohort in found.cohorts.values():
        store = open_store(workspace, cohort)
        if store is None:
            sentence = f"{cohort.name}: the pixel store is missing, so the page has no average images and no cases."
            checks.append(
                CheckRow("EVAL010", "note", "skipped", TITLE, sentence, about=cohort.name, section="average_images")
            )
            continue
        try:
            of_cohort = averages(store, cohort, found.attributes, options) if cohort is largest else []
            for task in found.tasks:
                if task.cohort.name == cohort.name:
                    of_cohort += cases(store, task, choices[task.name], options, workspace.private_archives())
            rows += of_cohort
        except UserError as error:
            sentence = f"{cohort.name}: {error}"
            checks.append(CheckRow("EVAL010", "warning", "failed", TITLE, sentence, about=cohort.name))
        finally:
            store.close()
    places: Mapping[str, Iterator[int]] = defaultdict(count)
    return [replace(each, order=next(places[each.section])) for each in rows], checks


def averages(
    store: PixelStore, cohort: FrozenCohort, attributes: pl.DataFrame, options: EvaluationOptions
) -> list[PictureRow]:
    """Rows of average radiographs, by sex and for at most AGES_AT_MOST ages.

    Averages use the latest radiograph of each patient, in the most frequent view only. Radiographs are weighted by a
    normal curve around the age, with a standard deviation of a quarter of the age band, so that the pictures change
    gradually with age. Ages with fewer than the least patients in the band around them are left out.
    """
    shown = fit_to_show(attributes.join(cohort.members().select("image_key"), on="image_key", how="semi"))
    shown = shown.filter(pl.col("age_years").is_not_null() & pl.col("patient_sex").is_in(list(SEXES)))
    views = shown["view_position"].drop_nulls().value_counts(sort=True)
    if views.height:
        shown = shown.filter(pl.col("view_position") == views["view_position"][0])
    shown = latest_of(shown)
    shown = shown.filter(pl.Series(store.has(shown["image_key"].to_list()), dtype=pl.Boolean))
    rows = []
    for sex, words in SEXES.items():
        frame = shown.filter(pl.col("patient_sex") == sex)
        ages = frame["age_years"].to_numpy()
        for age in _ages(ages, options):
            near = np.flatnonzero(np.abs(ages - age) <= options.age_band_years / 2)
            if len(near) < options.least_patients:
                continue
            near = near[np.argsort(np.abs(ages[near] - age), kind="stable")][:IMAGES_AT_MOST]
            weight = np.exp(-0.5 * ((ages[near] - age) / (options.age_band_years / 4)) ** 2)
            mean = _weighted_mean(store, [frame["image_key"][int(i)] for i in near], weight)
            rows.append(
                PictureRow(
                    kind="average",
                    label=f"{words}, {age:g}",
                    section="average_images",
                    images=len(near),
                    png=png(mean),
                )
            )
    return rows


def _ages(ages: Array, options: EvaluationOptions) -> Sequence[float]:
    """Ages of the averages, evenly spaced over the range of `ages` (n,)."""
    if not len(ages):
        return []
    low, high = float(ages.min()), float(ages.max())
    step = options.age_band_years
    while (high - low) / step > AGES_AT_MOST:
        step += options.age_band_years
    first = np.ceil((low + options.age_band_years / 4) / step) * step
    grid = [float(each) for each in np.arange(first, high - options.age_band_years / 4 + 0.5, step)]
    # A narrow range may contain no multiple of the step; then use its middle.
    return grid or [float(np.round((low + high) / 2))]


def _weighted_mean(store: PixelStore, keys: Sequence[str], weights: Array) -> Array:
    """Weighted mean of pictures, (side, side) uint8; reads blocks of 32, because all do not fit in memory."""
    total = np.zeros((store.side_px, store.side_px))
    for start in range(0, len(keys), 32):
        block = store.read(keys[start : start + 32])
        total += np.tensordot(weights[start : start + 32], block.astype(np.float32), axes=1)
    mean = total / weights.sum()
    full = 65535 if store.value_type == "uint16" else 255
    return np.clip(mean / full * 255, 0, 255).round().astype(np.uint8)


def cases(
    store: PixelStore, task: Task, choice: Choice, options: EvaluationOptions, private: Collection[str] = ()
) -> list[PictureRow]:
    """Rows of single radiographs: the best model's best, median and worst predictions, at most one for each patient.

    Left out are radiographs with quality flags or burned-in text, and radiographs of patients whose age band and sex
    has fewer than the least patients. Unless `show_unexamined` is set, radiographs of `private` archives and those
    whose header does not say that they are free of burned-in text are left out too, because no picture was examined.
    """
    model = task.models.get(choice.best)
    # Cases need one error for each image.
    if model is None or task.level != "image" or not task.kind.one_value:
        return []
    error = model.values - task.truth
    loss = np.abs(error)
    band = (task.units["age_years"] / options.age_band_years).floor()
    frame = task.units.with_columns(pl.Series("_loss", loss), pl.Series("_value", model.values), band.alias("_band"))
    frame = frame.filter(pl.Series(model.known))
    frame = frame.with_columns(pl.col("patient_key").n_unique().over("patient_sex", "_band").alias("_cell"))
    frame = fit_to_show(frame).filter(pl.col("_cell") >= options.least_patients)
    if not options.show_unexamined:
        # A header may be wrong about burned-in text, so the owner must permit single pictures of private archives.
        declared = pl.col("burned_in_text") == "no"
        frame = frame.filter(declared & ~pl.col("archive").is_in(list(private)))
    # Of a patient with several radiographs, keep the one with the largest error.
    frame = frame.sort("_loss", "unit_key").unique("patient_key", keep="last", maintain_order=True)
    frame = frame.sort("_loss", "unit_key")
    frame = frame.filter(pl.Series(store.has(frame["unit_key"].to_list()), dtype=pl.Boolean))
    # With fewer radiographs, one could be among the best and the worst at once.
    if frame.height < 3 * CASES:
        return []
    middle = frame.height // 2 - CASES // 2
    picks = {
        "best": list(range(CASES)),
        "median": list(range(middle, middle + CASES)),
        "worst": list(range(frame.height - 1, frame.height - 1 - CASES, -1)),
    }
    rows = []
    for word, numbers in picks.items():
        for number in numbers:
            unit = frame.row(number, named=True)
            picture = store.read([unit["unit_key"]])[0]
            rows.append(
                PictureRow(
                    kind="case",
                    label=f"{word}: {task.kind.caption(task, unit)}",
                    section="cases",
                    experiment=model.name,
                    image_key=unit["unit_key"],
                    png=png(picture),
                )
            )
    return rows


def open_store(workspace: Workspace, cohort: FrozenCohort) -> PixelStore | None:
    """The store with the cohort's pictures; None if it is missing."""
    try:
        return PixelStore.open(workspace, cohort.store or None)
    except UserError:
        return None
