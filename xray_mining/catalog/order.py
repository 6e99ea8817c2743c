"""Which of a patient's images is the later one: what merge found, and what decided it for the members of a cohort."""

import re

import duckdb
import polars as pl
from sqlglot import exp

from xray_mining.catalog.checks import with_members
from xray_mining.catalog.connection import connect, frame
from xray_mining.catalog.query import run_file
from xray_mining.workspace import Workspace

LEAST_PATIENTS = 10
"""Fewer are not counted out."""
_WORDS = {
    "day": "by the day of the study",
    "follow_up": "by the follow-up number",
    "age": "by the age",
    "same_study": "of one study, by the order of its files",
    "nothing": "by nothing but the order of the set's files",
}


def latest_of(images: pl.DataFrame, key: str = "patient_key") -> pl.DataFrame:
    """One row of every patient (or of another `key`): its latest image; sorted by image_key."""
    return latest_first(images).unique(key, keep="first", maintain_order=True).sort("image_key")


def latest_first(images: pl.DataFrame) -> pl.DataFrame:
    """Rows of images with later ones of a patient before earlier ones, by patient_sequence, else by image_key."""
    if "patient_sequence" not in images.columns:
        return images.sort("image_key")
    return images.sort("patient_sequence", "image_key", descending=[True, False], nulls_last=True)


def attributes(workspace: Workspace, keys: pl.Series) -> pl.DataFrame:
    """What is known of the images that the catalog holds among `keys`, and patient_sequence; sorted by image_key."""
    with connect(workspace, results=False) as con:
        return run_file(con, "reports/attributes_of_images", {"image_keys": keys.to_list()})


def undecided(workspace: Workspace, members: pl.DataFrame) -> pl.DataFrame:
    """patient_key of each patient of the members for whom nothing tells which image is the later one (COH001)."""
    with connect(workspace, results=False) as con:
        with_members(con, members)
        return frame(con, "select patient_key from deciding_order where decided_by = 'nothing' order by patient_key")


def sentences(con: duckdb.DuckDBPyConnection, text: str, tree: exp.Query) -> tuple[str, ...]:
    """What decided the order of images, for how many patients of the temporary table `members`.

    Nothing where the cohort's file asks for no order; a warning where it goes by study_day and some have none.
    """
    if re.search(r"\bpatient_sequence\b", text):
        return _decided(con)
    return _without_day(con) if _by_day(tree) else ()


def _decided(con: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    rows = frame(con, "select decided_by, count(*) as patients from deciding_order group by decided_by")
    counts = dict(rows.iter_rows())
    several = sum(counts.values())
    if not several:
        return ()
    told = [f"{words} {_few(counts[name])}" for name, words in _WORDS.items() if name in counts]
    said = f"Which image of a patient is the later one, of {_few(several)} patients with several: {'; '.join(told)}."
    if "nothing" not in counts:
        return (said,)
    return (
        said,
        f"COH001: nothing tells which image of {_few(counts['nothing'])} patients is the later one; the set's files "
        f"have an order, but no day, follow-up number or age says that it is one in time.",
    )


def _few(patients: int) -> str:
    return f"{patients:,}" if patients >= LEAST_PATIENTS else f"fewer than {LEAST_PATIENTS}"


def _by_day(tree: exp.Query) -> bool:
    """Whether a window or a sorted list of the file goes by study_day."""
    ordered = (each.find(exp.Column) for each in tree.find_all(exp.Ordered))
    best = (each.expression for each in tree.find_all(exp.ArgMax, exp.ArgMin))
    return any(each is not None and each.name.lower() == "study_day" for each in (*ordered, *best))


def _without_day(con: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    rows = frame(
        con,
        "select count(distinct members.patient_key) as patients from members "
        "inner join images on members.patient_key = images.patient_key where images.study_day is null",
    )
    patients = int(rows["patients"][0])
    if not patients:
        return ()
    return (
        f"COH002: the file orders images by study_day, but {_few(patients)} of its patients have images without one; "
        f"order by patient_sequence, which then goes by follow-up number or age.",
    )
