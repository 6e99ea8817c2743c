"""Print the rows of a query, or write them to a file: as a table for people, as CSV, JSON or Parquet for programs."""

import shutil
import sys
from io import BytesIO
from pathlib import Path

import polars as pl

from xray_mining.errors import UserError, unknown_name
from xray_mining.workspace import write_atomically

FORMATS = ("table", "csv", "json", "parquet")
TABLE_ROWS = 50
"""Number of rows that a table for people shows; with one line for each column, RECORD_ROWS."""
RECORD_ROWS = 5
_NARROW = 12
"""Least characters of a column that can be read."""
_TEXT = 600
"""Most characters of a cell in a table for people; the longest meaning of a column fits."""
_SUFFIXES = {".csv": "csv", ".json": "json", ".parquet": "parquet"}


def format_of(output: str, out: Path | None) -> str:
    """The format: that of `--format`, else that of the file's extension, else a table."""
    if output and output not in FORMATS:
        raise unknown_name("--format", output, FORMATS)
    by_name = _SUFFIXES.get(out.suffix.lower(), "") if out is not None else ""
    if output and by_name and output != by_name:
        raise UserError(f"--out {out}: its extension means {by_name}, but --format is {output}; change one of the two")
    return output or by_name or "table"


def write_rows(rows: pl.DataFrame, output: str, out: Path | None = None) -> None:
    """Write `rows` in one of FORMATS to `out`, or to standard output."""
    width = shutil.get_terminal_size().columns if out is None and sys.stdout.isatty() else None
    content = _encoded(rows, output, width)
    if out is not None:
        with write_atomically(out) as scratch:
            scratch.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()


def _encoded(rows: pl.DataFrame, output: str, width: int | None) -> bytes:
    if output == "table":
        return _for_people(rows, width).encode()
    if output == "json":
        return (rows.write_json() + "\n").encode()
    buffer = BytesIO()
    if output == "csv":
        nested = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.List)]
        rows.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join(";") for name in nested).write_csv(buffer)
    else:
        rows.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _for_people(rows: pl.DataFrame, width: int | None) -> str:
    """A table that fits the terminal; if its columns would be too narrow, one line for each name and value.

    Without a terminal each row is one line of any length.
    """
    narrow = width is not None and rows.width * _NARROW > width
    shown = min(rows.height, RECORD_ROWS if narrow else TABLE_ROWS)
    if narrow:
        text = "\n".join(_record(row) for row in rows.head(shown).iter_rows(named=True))
    else:
        with pl.Config(
            tbl_rows=TABLE_ROWS,
            tbl_cols=-1,
            fmt_str_lengths=_TEXT,
            tbl_hide_dataframe_shape=True,
            tbl_width_chars=width or -1,
        ):
            text = str(rows) + "\n"
    if rows.height > shown:
        text += f"{shown} of {rows.height:,} rows are shown; --format csv gives all\n"
    return text


def _record(row: dict[str, object]) -> str:
    longest = max(map(len, row))
    return "".join(f"{name:<{longest}}  {'null' if value is None else value}\n" for name, value in row.items())
