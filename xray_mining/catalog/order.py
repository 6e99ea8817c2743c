"""The order of a patient's images in time, as merge computed it, and the columns that decided it for a cohort."""

import re

import duckdb
import polars as pl
from sqlglot import exp

from xray_mining.catalog.checks import with_members
from xray_mining.catalog.connection import connect, frame
from xray_mining.catalog.query import run_file
from xray_mining.records.small_counts import is_small, told
from xray_mining.workspace import Workspace

_WORDS = {
    "day": "by the day of the study",
    "follow_up": "by the follow-up number",
    "age": "by the age",
    "same_study": "of one study, by the order of its files",
    "nothing": "by the order of the set's files alone",
}


def latest_of(images: pl.DataFrame, key: str = "patient_key") -> pl.DataFrame:
    """The latest image of every patient (or of another `key`), sorted by image_key."""
    return latest_first(images).unique(key, keep="first", maintain_order=True).sort("image_key")


def latest_first(images: pl.DataFrame) -> pl.DataFrame:
    """Rows of images sorted so that a patient's later images come first: by patient_sequence, else by image_key."""
    if "patient_sequence" not in images.columns:
        return images.sort("image_key")
    return images.sort("patient_sequence", "image_key", descending=[True, False], nulls_last=True)


def attributes(workspace: Workspace, keys: pl.Series) -> pl.DataFrame:
    """Attributes and patient_sequence of those `keys` that are in the catalog, sorted by image_key."""
    with connect(workspace, results=False) as con:
        return run_file(con, "reports/attributes_of_images", {"image_keys": keys.to_list()})


def undecided(workspace: Workspace, members: pl.DataFrame) -> pl.DataFrame:
    """patient_key of each patient of the members whose images have no known order in time (COH001)."""
    with connect(workspace, results=False) as con:
        with_members(con, members)
        return frame(con, "select patient_key from deciding_order where decided_by = 'nothing' order by patient_key")


def sentences(con: duckdb.DuckDBPyConnection, text: str, tree: exp.Query) -> tuple[str, ...]:
    """Sentences about the order of images: what decided it, for how many patients of the temporary table `members`.

    No sentence if the cohort's file uses no order; a warning if it uses study_day and some images have none.
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
    listed = [f"{words} {told(counts[name])}" for name, words in _WORDS.items() if name in counts]
    # The total is the sum of the listed numbers, so beside a small one it would give that one away.
    total = "" if any(is_small(each) for each in counts.values()) else f"{several:,} "
    said = f"The latest image of {total}patients with several images was decided: {'; '.join(listed)}."
    if "nothing" not in counts:
        return (said,)
    return (
        said,
        f"COH001: the latest image of {told(counts['nothing'])} patients is not known; the set's files have an order, "
        f"but no day, follow-up number or age shows that it is the order in time.",
    )


def _by_day(tree: exp.Query) -> bool:
    """Whether a window or a sorted list of the query orders by study_day."""
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
        f"COH002: the file orders images by study_day, but {told(patients)} of its patients have images without one; "
        f"order by patient_sequence, which then uses the follow-up number or the age.",
    )
