"""Changes of the archives since an earlier overview was saved."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from xray_mining.catalog.overview import Alert, Overview
from xray_mining.errors import UserError

FORMAT = 1
SHIFT = 0.05
"""A larger change of a share raises an alert."""
# Tables that are compared, the columns that identify their rows in every version, and the column with the counts.
_SHARES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "pyramid": (("patient_sex", "age_from"), "images"),
    "views": (("view_position",), "images"),
    "makers": (("manufacturer",), "images"),
    "institutions": (("institution_key",), "images"),
    "bits": (("bits_stored",), "images"),
    "years": (("study_year",), "images"),
    "quality": (("flag",), "images"),
    "missing": (("column_name",), "missing"),
}


@dataclass(frozen=True, slots=True)
class Changes:
    """Differences between two overviews."""

    written: str
    """Date and time of the earlier overview."""
    totals: pl.DataFrame
    """what, before, now."""
    shares: pl.DataFrame
    """table, cell, before, now (counts), before_share, now_share (of all images), shift; the largest shift first."""
    alerts: tuple[Alert, ...]


def saved(found: Overview, written: str) -> dict[str, Any]:
    """An overview as JSON: aggregates, alerts and shortened tables; no key of an image or a patient."""
    return {
        "format": FORMAT,
        "what": "xray_mining archive overview",
        "written": written,
        "archives": list(found.archives),
        "catalog_digest": found.catalog_digest,
        "least_patients": found.least_patients,
        "alerts": [
            {"table": each.table, "severity": each.severity, "title": each.title, "sentence": each.sentence}
            for each in found.alerts
        ],
        "cut": {
            name: {"listed": cut.listed, "rows": cut.rows, "left_out": cut.left_out} for name, cut in found.cut.items()
        },
        "tables": {name: table.to_dicts() for name, table in found.tables.items()},
    }


def read_saved(path: Path) -> dict[str, Any]:
    """Read an overview that `archive-report` wrote; UserError if the file is something else or has another format."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name the JSON of an earlier page") from error
    except ValueError as error:
        raise UserError(f"{path}: is not JSON; name the file that an earlier `archive-report` wrote") from error
    known = isinstance(raw, dict) and raw.get("what") == "xray_mining archive overview"
    if not known or not isinstance(raw.get("tables"), dict):
        raise UserError(f"{path}: is not the JSON of an archive report; name the file beside such a page")
    if raw.get("format") != FORMAT:
        raise UserError(
            f"{path}: has format {raw.get('format')}, this xray-mining reads {FORMAT}; write the earlier page again"
        )
    return raw


def changes(earlier: Mapping[str, Any], found: Overview) -> Changes:
    """Compare a saved overview with the current one.

    Cells of too few patients are left out. A cell that is missing on one side counts as 0 there, unless that side's
    table was shortened or hides cells.
    """
    # The earlier JSON is a user's file, so any missing entry becomes one sentence instead of a traceback.
    try:
        before = _totals(earlier["tables"]["totals"][0], earlier["tables"]["accounts"])
        now = _totals(found.tables["totals"].row(0, named=True), found.tables["accounts"].to_dicts())
        rows = [
            row
            for name, (keys, counted) in _SHARES.items()
            for row in _shares(
                name,
                _cells(earlier["tables"].get(name, []), keys, counted),
                _cells(found.tables[name].to_dicts(), keys, counted),
                (max(before["images"], 1), max(now["images"], 1)),
                (
                    _whole(earlier["tables"].get(name, []), name in earlier.get("cut", {})),
                    _whole(found.tables[name].to_dicts(), name in found.cut),
                ),
            )
        ]
        written = str(earlier["written"])
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise UserError(f"--compare: the earlier JSON lacks {error}; write the earlier page again") from error
    totals = pl.DataFrame([{"what": name, "before": before.get(name, 0), "now": count} for name, count in now.items()])
    schema = {
        "table": pl.String(),
        "cell": pl.String(),
        "before": pl.Int64(),
        "now": pl.Int64(),
        "before_share": pl.Float64(),
        "now_share": pl.Float64(),
        "shift": pl.Float64(),
    }
    shares = pl.DataFrame(rows, schema=schema, orient="row").sort(
        pl.col("shift").abs(), "table", "cell", descending=[True, False, False], nulls_last=True
    )
    return Changes(written, totals, shares, tuple(_alerts(before, now, shares)))


def _totals(row: Mapping[str, Any], accounts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counted = {
        outcome: sum(each["accounts"] for each in accounts if each["outcome"] == outcome)
        for outcome in ("duplicate", "rejected")
    }
    return {name: int(value) for name, value in row.items()} | counted


def _cells(rows: Sequence[Mapping[str, Any]], keys: tuple[str, ...], counted: str) -> dict[str, int | None]:
    """Counts by cell, added up over columns that are not compared; None if a part of a cell is hidden."""
    found: dict[str, int | None] = {}
    for row in rows:
        cell = " · ".join("unknown" if row[key] is None else str(row[key]) for key in keys)
        count, so_far = row[counted], found.get(cell, 0)
        found[cell] = None if count is None or so_far is None else so_far + int(count)
    return found


def _whole(rows: Sequence[Mapping[str, Any]], is_cut: bool) -> bool:
    return not is_cut and not any(row.get("few") for row in rows)


def _shares(
    name: str,
    before: Mapping[str, int | None],
    now: Mapping[str, int | None],
    images: tuple[int, int],
    whole: tuple[bool, bool],
) -> list[dict[str, Any]]:
    rows = []
    for cell in dict.fromkeys([*now, *before]):
        counts = (
            before.get(cell, 0 if whole[0] else None) if cell not in before else before[cell],
            now.get(cell, 0 if whole[1] else None) if cell not in now else now[cell],
        )
        shares = [None if count is None else count / of for count, of in zip(counts, images, strict=True)]
        shift = None if shares[0] is None or shares[1] is None else shares[1] - shares[0]
        if shift is not None and counts[0] != counts[1]:
            rows.append(
                {
                    "table": name,
                    "cell": cell,
                    "before": counts[0],
                    "now": counts[1],
                    "before_share": shares[0],
                    "now_share": shares[1],
                    "shift": shift,
                }
            )
    return rows


def _alerts(before: Mapping[str, int], now: Mapping[str, int], shares: pl.DataFrame) -> list[Alert]:
    found = []
    if now["images"] < before["images"]:
        gone = before["images"] - now["images"]
        found.append(Alert("changes", "warning", "Fewer images", f"{gone:,} images fewer than on the earlier page."))
    moved = shares.filter(pl.col("shift").abs() > SHIFT)
    if moved.height:
        first = moved.row(0, named=True)
        sentence = (
            f"{moved.height:,} {'share' if moved.height == 1 else 'shares'} of the images moved by more than "
            f"{100 * SHIFT:.0f} percentage points; most of all {first['table'].replace('_', ' ')}: {first['cell']}."
        )
        found.append(Alert("changes", "warning", "Changed make-up", sentence))
    return found
