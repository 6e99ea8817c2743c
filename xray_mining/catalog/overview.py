"""What the archives hold, as aggregates: the queries of sql/reports/archive_*.sql, and the alerts they raise."""

from dataclasses import dataclass

import polars as pl

from xray_mining.catalog.connection import connect
from xray_mining.catalog.header import queries
from xray_mining.catalog.query import run_file
from xray_mining.workspace import Workspace, asset

PREFIX = "archive_"
MISSING_SHARE = 0.05
"""A column that is missing more often than this is an alert."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that whoever uses the archive should know, and the table that shows it."""

    table: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Aggregates only: no row of it is about one image, so that its size does not grow with the archive."""

    tables: dict[str, pl.DataFrame]
    alerts: tuple[Alert, ...]


def overview(workspace: Workspace) -> Overview:
    """Run every archive query; tables are named by their file, without the prefix."""
    names = [name for name in queries(asset("sql/reports")) if name.startswith(PREFIX)]
    with connect(workspace) as con:
        tables = {name.removeprefix(PREFIX): run_file(con, f"reports/{name}", {}) for name in names}
    return Overview(tables, tuple(_alerts(tables)))


def _alerts(tables: dict[str, pl.DataFrame]) -> list[Alert]:
    found = [
        Alert("missing", f"{row['column_name']} is missing in {row['missing']:,} of {row['images']:,} images.")
        for row in tables["missing"].iter_rows(named=True)
        if row["share"] is not None and row["share"] > MISSING_SHARE
    ]
    impossible = int(tables["ages"]["impossible"].sum())
    if impossible:
        found.append(Alert("ages", f"{impossible:,} images state an age that no patient can have."))
    accounts = tables["accounts"]
    total = int(accounts["accounts"].sum())
    for outcome in ("duplicate", "rejected"):
        count = int(accounts.filter(pl.col("outcome") == outcome)["accounts"].sum())
        if count:
            word = "are duplicates of an earlier one" if outcome == "duplicate" else "could not be used"
            found.append(Alert("accounts", f"{count:,} of {total:,} files or frames {word}."))
    flagged = tables["quality"].filter(pl.col("flag") != "not_frontal")
    found += [Alert("quality", f"{row['images']:,} images are flagged {row['flag']}.") for row in flagged.to_dicts()]
    return found
