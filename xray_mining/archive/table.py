"""A CSV table (plain or gzip) as rows of text: what its columns mean is for the adapter to say."""

import csv
import difflib
import gzip
import io
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from xray_mining.errors import UserError


def read_table(path: Path, header: list[str] | None = None) -> pl.DataFrame:
    """The table with text columns, stripped, empty fields null; UserError where it is not there or is no table.

    `header` replaces the first line, for tables whose own first line cannot be split. Ragged rows are cut or filled.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig", "replace")
    except FileNotFoundError as error:
        raise UserError(f"{path}: the table is not there; check its name, in the mapping too") from error
    except (OSError, EOFError) as error:
        raise UserError(f"{path}: the table cannot be read ({error}); check the path and its rights") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        own = [name.strip() for name in next(rows)]
        names = header or _distinct(own)
        width = len(names)
        cells = [(row + [""] * width)[:width] for row in rows if row]
    except StopIteration:
        raise UserError(f"{path}: the table is empty; it must have a line of column names") from None
    except csv.Error as error:
        raise UserError(f"{path}: is no CSV table ({error}); export it again as UTF-8 CSV") from error
    frame = pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String), orient="row")
    stripped = pl.all().str.strip_chars()
    return frame.with_columns(stripped).with_columns(pl.when(pl.all() == "").then(None).otherwise(pl.all()).name.keep())


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return found


def need_columns(frame: pl.DataFrame, wanted: Iterable[str], where: str) -> None:
    """UserError that names the first column that is not there, and the nearest that is."""
    for name in wanted:
        if name not in frame.columns:
            close = difflib.get_close_matches(name, frame.columns, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"it has {', '.join(frame.columns[:12])}"
            raise UserError(f"{where}: has no column '{name}'; {hint}")


def find_table(folder: Path, name: str) -> Path | None:
    """The table in the folder, plain or gzip; None where it is not there."""
    for each in (name, f"{name}.gz"):
        if (folder / each).is_file():
            return folder / each
    return None


def first_places(names: pl.Series) -> dict[str, int]:
    """The first row of each name."""
    places: dict[str, int] = {}
    for place, name in enumerate(names.to_list()):
        if name:
            places.setdefault(name, place)
    return places
