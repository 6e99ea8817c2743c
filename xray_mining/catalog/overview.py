"""Aggregates of the archives' content: the queries of sql/reports/archive_*.sql, and alerts about their results."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from xray_mining.catalog.checks import of_archive
from xray_mining.catalog.connection import connect
from xray_mining.catalog.header import queries
from xray_mining.catalog.merge import read_about
from xray_mining.catalog.query import run_file
from xray_mining.records.small_counts import LEAST_PATIENTS
from xray_mining.workspace import Workspace, asset

PREFIX = "archive_"
MISSING_SHARE = 0.05
"""A larger share of missing values in a column raises an alert."""
TOPCODED = 90
"""Age in years at which ages are cut off."""
LISTED_ROWS = 25
"""Number of rows that are listed of tables of any length (sizes, models, sites)."""
PICTURES_OF_STRATUM = 4
_SAID_ELSEWHERE = ("AGE001", "DUP002")
"""Checks whose result is already reported by an alert about the tables."""

_CUT = ("bits", "duplicates", "encodings", "impossible_ages", "institutions", "makers", "rejects", "sizes")
_LATEST = {"years": 150}
"""Tables in the order of time: their latest rows are kept, and more of them, because all archives share the table."""
FOLDED = ("bits", "encodings", "institutions", "makers", "sizes")
"""Tables whose rows of too few patients are left out and counted in one sum."""
# Tables that count people: the columns that name a cell, and the columns within which the cells add up to a total.
_PEOPLE: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pyramid": (("patient_sex", "age_from"), ("patient_sex",)),
    "views": (("view_position", "view_source"), ()),
    "years": (("archive", "study_year"), ("archive",)),
    "makers": (("manufacturer", "manufacturer_model_name"), ()),
    "institutions": (("archive", "institution_key"), ("archive",)),
    "sizes": (("rows", "columns"), ()),
    "bits": (("bits_stored", "photometric_interpretation"), ()),
    "encodings": (("transfer_syntax_uid",), ()),
    "images_per_patient": (("images_up_to_20",), ()),
    "gaps": (("gap", "shortest_days"), ()),
    "findings": (("source", "name", "kind", "unit", "answer", "findings"), ("source", "name")),
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One fact that users of the archive should know, and the table that shows it."""

    table: str
    severity: str
    """error, warning, or note (no fault, but users must know it)."""
    title: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Cut:
    """How much a shortened table leaves out."""

    listed: int
    rows: int
    """All rows, with the listed ones."""
    left_out: int | None
    """Images (or files) of the rows that are not listed: rows after the last one, and rows of too few patients.

    None if these rows together have too few patients.
    """


@dataclass(frozen=True, slots=True)
class Overview:
    """Aggregates only: no table has a row for each image, so the size does not grow with the archive."""

    tables: Mapping[str, pl.DataFrame]
    """Tables by the name of their SQL file without the prefix. `few` marks rows with fewer than `least_patients`.

    `checks`: one row for each check of the archive, with its outcome and the number of rows it found.
    """
    alerts: tuple[Alert, ...]
    cut: Mapping[str, Cut] = field(default_factory=dict)
    least_patients: int = LEAST_PATIENTS
    archives: tuple[str, ...] = ()
    catalog_digest: str = ""
    has_pictures: bool = False
    unexamined: bool = False
    """Whether unexamined pictures may be shown: of private archives, or with unknown burned-in text."""
    private: tuple[str, ...] = ()
    """Archives that are not public."""
    shown: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Example pictures of each stratum: patient_sex, age_from, patients, image_key. Never written to a file."""


def overview(
    workspace: Workspace,
    least_patients: int = LEAST_PATIENTS,
    listed_rows: int | None = LISTED_ROWS,
    *,
    unexamined: bool = False,
) -> Overview:
    """Run all archive queries, hide small cells, shorten long tables, and raise alerts.

    Args:
        workspace: The workspace; new parts are merged first.
        least_patients: Counts of cells with fewer patients are hidden; 1 hides nothing.
        listed_rows: Number of rows that are listed of long tables; None lists all.
        unexamined: Whether to show pictures of private archives, and pictures whose header does not rule out
            burned-in text. The program does not examine pictures for text.

    Returns:
        The tables, the alerts, and the keys of the example pictures.

    Raises:
        UserError: If the catalog cannot be read.

    Example:
        >>> found = overview(workspace)
        >>> found.tables["totals"]["images"][0] > 0
        True
    """
    names = [name for name in queries(asset("sql/reports")) if name.startswith(PREFIX)]
    store = workspace.settings.store or ""
    with connect(workspace, results=False) as con:
        checks = of_archive(con, workspace)
        whole = {name.removeprefix(PREFIX): run_file(con, f"reports/{name}", {}) for name in names}
        asked = {
            "store": store,
            "least_patients": max(least_patients, 1),
            "pictures": PICTURES_OF_STRATUM,
            "unexamined": unexamined,
            "private": ",".join(workspace.private_archives()),
        }
        shown = run_file(con, "reports/pictures_of_strata", asked)
    tables, cut = {}, {}
    for name, table in whole.items():
        tables[name], gone = _shown(name, table, least_patients, listed_rows)
        if gone is not None:
            cut[name] = gone
    oldest = tables["pyramid"].filter(pl.col("few") & (pl.col("age_from") >= TOPCODED))
    if oldest.height:  # the number of images set to 90 would reveal the hidden cell
        tables["ages"] = tables["ages"].with_columns(pl.lit(None, pl.Int64).alias("topcoded"))
    tables["checks"] = _without_small_counts(checks, least_patients)
    return Overview(
        tables,
        (
            *_alerts(whole | {"ages": tables["ages"]}, bool(store)),
            *_of_checks(tables["checks"], whole["missing"], least_patients),
        ),
        cut,
        least_patients,
        tuple(sorted(workspace.settings.archives)),
        read_about(workspace.catalog)["digest"],
        bool(store),
        unexamined,
        tuple(workspace.private_archives()),
        shown,
    )


def _shown(
    name: str, table: pl.DataFrame, least_patients: int, listed_rows: int | None
) -> tuple[pl.DataFrame, Cut | None]:
    """The rows of an archive query that a page may print, and how much is left out if the table is shortened."""
    kept = _without_persons(name, table, least_patients)
    if name in _PEOPLE:
        kept = without_few(kept, *_PEOPLE[name], least_patients)
    if name == "findings":
        # Names of groups are free text; the name of a small group may identify its patients.
        return kept.filter(~(pl.col("few") & (pl.col("kind") == "group") & (pl.col("answer") != "unknown"))), None
    if name in FOLDED:
        kept = kept.filter(~pl.col("few"))
    if listed_rows is not None and name in _CUT:
        kept = kept.head(listed_rows)
    if listed_rows is not None and name in _LATEST:
        kept = kept.tail(_LATEST[name])
    if kept.height == table.height:
        return kept, None
    gone = table.join(kept, on=_names(name, table), how="anti", nulls_equal=True)
    counted = next(each for each in ("images", "files", "rejects") if each in table.columns)
    people = int(gone["patients"].sum()) if name in _PEOPLE else least_patients
    # The total of images would reveal the number of images of few patients.
    countable = people >= least_patients or least_patients <= 1
    return kept, Cut(kept.height, table.height, int(gone[counted].sum()) if countable else None)


def _names(name: str, table: pl.DataFrame) -> list[str]:
    """The columns that identify a row of the table."""
    if name in _PEOPLE:
        return list(_PEOPLE[name][0])
    return [column for column, kind in table.schema.items() if kind == pl.String]


def _without_persons(name: str, table: pl.DataFrame, least_patients: int) -> pl.DataFrame:
    """`table` without values that describe only a few persons of a large row: extreme ages, the share of a rare sex."""
    if name in ("impossible_ages", "quality"):  # faults are counted by file, not by patient
        return table.drop("patients")
    if name == "ages":
        # A quantile is shown only if at least `least_patients` patients are beyond it: 1 of 20 beyond the 5 % and
        # 95 % quantiles, 1 of 2 beyond the median.
        asked = {"lower_age": 20, "median_age": 2, "upper_age": 20}
        known = [
            pl.when(pl.col("patients") >= times * least_patients).then(age).alias(age) for age, times in asked.items()
        ]
        few = (pl.col("topcoded") > 0) & (pl.col("topcoded_patients") < least_patients) & (least_patients > 1)
        old = pl.when(few).then(None).otherwise("topcoded").alias("topcoded")
        return table.with_columns(*known, old).drop("patients", "topcoded_patients")
    if name == "institutions":
        known = pl.col("rarer_sex") >= least_patients
        return table.with_columns(pl.when(known).then("share_of_males").alias("share_of_males")).drop("rarer_sex")
    return table


def without_few(
    table: pl.DataFrame, keys: tuple[str, ...], within: tuple[str, ...], least_patients: int
) -> pl.DataFrame:
    """Hide the counts of rows with fewer than `least_patients` patients; a new column `few` marks these rows.

    If the hidden rows of a group that adds up to a known total are one row, or have fewer than `least_patients`
    together, the next smallest rows are hidden too, because the total would reveal the hidden counts.
    """
    if "patients" not in table.columns:
        raise ValueError("a table of people needs a column patients")
    groups = list(within) or [pl.lit(0)]
    patients = pl.col("patients")
    few = (patients < least_patients) & (least_patients > 1)
    smaller = (patients.cum_sum().over(groups) - patients) < least_patients
    second = pl.int_range(pl.len()).over(groups) < 2
    hidden = (
        table.with_row_index("_row")
        .sort("patients", maintain_order=True)
        .with_columns((few | (few.any().over(groups) & (smaller | second))).alias("few"))
        .sort("_row")
        .drop("_row")
    )
    counts = [name for name in table.columns if name not in keys]
    return hidden.with_columns(pl.when("few").then(None).otherwise(pl.col(name)).alias(name) for name in counts)


def _alerts(tables: dict[str, pl.DataFrame], has_pictures: bool) -> Iterator[Alert]:
    totals = tables["totals"].row(0, named=True)
    if not totals["images"] and not tables["accounts"].height:
        return
    yield from _of_columns(tables["missing"], has_pictures)
    yield from _of_ages(tables)
    yield from _of_files(tables, totals)
    images = max(totals["images"], 1)
    for row in tables["quality"].iter_rows(named=True):
        if row["images"] and row["flag"] not in ("not_frontal", "impossible_age", "no_pixels"):
            severity = "warning" if row["images"] / images > 0.01 else "note"
            words = row["flag"].replace("_", " ")
            yield Alert(
                "quality", severity, "Quality flags", f"{_counted(row['images'], 'is', 'are')} flagged {words}."
            )


def _of_columns(missing: pl.DataFrame, has_pictures: bool) -> Iterator[Alert]:
    frame = missing.filter(pl.col("share") > MISSING_SHARE)
    if not has_pictures:
        frame = frame.filter(pl.col("column_name") != "pixels")
        yield Alert("quality", "note", "Pictures", "No picture was read, so their quality is not known.")
    never = [_words(name) for name in frame.filter(pl.col("share") == 1)["column_name"].to_list()]
    if never:
        yield Alert("missing", "warning", "Missing values", f"No image states {_listed(never)}.")
    for row in frame.filter(pl.col("share") < 1).iter_rows(named=True):
        sentence = f"{_words(row['column_name'])} is missing in {row['missing']:,} of {row['images']:,} images."
        yield Alert("missing", "warning", "Missing values", sentence[:1].upper() + sentence[1:])


def _of_ages(tables: dict[str, pl.DataFrame]) -> Iterator[Alert]:
    impossible = int(tables["ages"]["impossible"].sum())
    if impossible:
        texts = (
            tables["impossible_ages"].filter(~pl.col("stated").str.contains("other text"))["stated"].head(3).to_list()
        )
        said = f" ({'first: ' if tables['impossible_ages'].height > 3 else ''}{', '.join(texts)})" if texts else ""
        words = _counted(impossible, "states", "state")
        yield Alert("ages", "warning", "Impossible ages", f"{words} an age that no patient can have{said}.")
    known = tables["ages"]["topcoded"]
    topcoded = None if known.null_count() else int(known.sum())
    if topcoded != 0:
        words = "Images of patients" if topcoded is None else _counted(topcoded, "of a patient", "of patients")
        yield Alert(
            "ages", "note", "Ages set to 90", f"{words} older than 89 counted as 90, so that no one can be identified."
        )


def _of_files(tables: dict[str, pl.DataFrame], totals: dict[str, int]) -> Iterator[Alert]:
    accounts = tables["accounts"]
    total = int(accounts["accounts"].sum())
    for outcome, table, title, words in (
        ("rejected", "rejects", "Rejected files", "could not be used"),
        ("duplicate", "duplicates", "Duplicates", "show what an earlier one shows"),
    ):
        count = int(accounts.filter(pl.col("outcome") == outcome)["accounts"].sum())
        if count:
            severity = "warning" if count / total > 0.01 else "note"
            verb = words.replace("show ", "shows ") if count == 1 else words
            yield Alert(table, severity, title, f"{count:,} of {total:,} files or frames {verb}.")
    near = tables["near_duplicates"].row(0, named=True)
    if near["exposures_of_several_patients"]:
        count = near["exposures_of_several_patients"]
        words = "exposure is claimed by" if count == 1 else "exposures are each claimed by"
        sentence = f"{count:,} {words} several patients; cohorts start from one image of each."
        yield Alert("duplicates", "warning", "Near-duplicates", sentence)
    if totals["vanished_files"]:
        sentence = f"{totals['vanished_files']:,} files that were read are now missing; new cohorts leave them out."
        yield Alert("accounts", "warning", "Vanished files", sentence)
    if totals["images_without_patient"]:
        words = _counted(totals["images_without_patient"], "states", "state")
        yield Alert("missing", "note", "No patient", f"{words} no patient id; shipped cohorts leave them out.")


def _without_small_counts(checks: pl.DataFrame, least_patients: int) -> pl.DataFrame:
    """Results of the checks with small numbers hidden, because a row of a check is often one patient."""
    few = pl.col("found").is_between(1, least_patients - 1).fill_null(value=False)
    return checks.with_columns(few.alias("few")).with_columns(
        pl.when("few").then(None).otherwise("found").alias("found")
    )


def _of_checks(checks: pl.DataFrame, missing: pl.DataFrame, least_patients: int) -> Iterator[Alert]:
    said = set(_SAID_ELSEWHERE)
    if missing.filter((pl.col("column_name") == "pixels") & (pl.col("share") > MISSING_SHARE)).height:
        said.add("PIX001")
    failed = checks.filter((pl.col("outcome") == "failed") & ~pl.col("code").is_in(list(said)))
    for row in failed.iter_rows(named=True):
        count = f"fewer than {least_patients}" if row["few"] else f"{row['found']:,}"
        sentence = f"{row['question'][:1].upper()}{row['question'][1:]}: {count} found."
        yield Alert("checks", row["severity"], f"Check {row['code']}", sentence)


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} image {one}" if count == 1 else f"{count:,} images {several}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


_COLUMNS = {
    "age_years": "the age",
    "patient_sex": "the sex",
    "view_position": "the view",
    "patient_id": "the patient",
    "institution": "the site",
    "manufacturer": "the maker",
    "study_day": "the day of the study",
    "pixel_spacing_mm": "the pixel spacing",
    "pixels": "the picture",
}


def _words(column: str) -> str:
    return _COLUMNS.get(column, column.replace("_", " "))
