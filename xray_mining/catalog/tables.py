"""Rows of a query on standard output or in a file: a table for people, CSV, JSON or Parquet for programs."""

import sys
from io import BytesIO
from pathlib import Path

import polars as pl

from xray_mining.errors import unknown_name
from xray_mining.workspace import write_atomically

FORMATS = ("table", "csv", "json", "parquet")
TABLE_ROWS = 50


def write_rows(rows: pl.DataFrame, output: str, out: Path | None = None) -> None:
    """Write `rows` in one of FORMATS to `out`, or to standard output."""
    if output not in FORMATS:
        raise unknown_name("--format", output, FORMATS)
    content = _encoded(rows, output)
    if out is not None:
        with write_atomically(out) as scratch:
            scratch.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()


def _encoded(rows: pl.DataFrame, output: str) -> bytes:
    if output == "table":
        with pl.Config(
            tbl_rows=TABLE_ROWS, tbl_cols=-1, fmt_str_lengths=60, tbl_hide_dataframe_shape=True, tbl_width_chars=-1
        ):
            text = str(rows) + "\n"
        if rows.height > TABLE_ROWS:
            text += f"{rows.height:,} rows, of which {TABLE_ROWS} are shown; --format csv gives all\n"
        return text.encode()
    if output == "json":
        return (rows.write_json() + "\n").encode()
    buffer = BytesIO()
    if output == "csv":
        nested = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.List)]
        rows.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join(";") for name in nested).write_csv(buffer)
    else:
        rows.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
