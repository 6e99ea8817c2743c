"""Base class of all records: columns with units, UUID keys, reading and writing of parts."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import dataframely as dy
import polars as pl

from xray_mining.errors import CannotFinish, UserError
from xray_mining.workspace import write_frame

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def key(description: str, *, nullable: bool = False, primary_key: bool = False) -> dy.String:
    """A 128-bit key: UUID text in parts, DuckDB's UUID type in the catalog."""
    return dy.String(
        nullable=nullable,
        primary_key=primary_key,
        regex=UUID_PATTERN,
        description=description,
        metadata={"key": True},
    )


def text(description: str, *, nullable: bool = False, primary_key: bool = False) -> dy.String:
    """A text column."""
    return dy.String(nullable=nullable, primary_key=primary_key, description=description)


def one_of(words: Iterable[str]) -> str:
    """A regular expression that matches exactly these words."""
    return f"^({'|'.join(re.escape(word) for word in words)})$"


def choice(description: str, allowed: Iterable[str], *, nullable: bool = False, primary_key: bool = False) -> dy.String:
    """A text column that allows only certain words."""
    words = tuple(allowed)
    return dy.String(
        nullable=nullable,
        primary_key=primary_key,
        regex=one_of(words),
        description=description,
        metadata={"allowed": words},
    )


def number(
    description: str,
    unit: str = "",
    *,
    nullable: bool = True,
    min: float | None = None,
    max: float | None = None,
) -> dy.Float64:
    """A float column; never infinite, and nan only if the record allows it."""
    return dy.Float64(nullable=nullable, min=min, max=max, description=description, metadata={"unit": unit})


def count(description: str, unit: str = "", *, nullable: bool = False, min: int | None = 0) -> dy.Int64:
    """An integer column."""
    return dy.Int64(nullable=nullable, min=min, description=description, metadata={"unit": unit})


class Record(dy.Schema):
    """One table of the toolkit. A subclass defines its columns with descriptions, units and rules."""

    table: ClassVar[str]
    version: ClassVar[int] = 1
    question: ClassVar[str] = ""
    """What one row is, in words, for the data dictionary."""
    home: ClassVar[str] = "catalog"
    """Where merge puts it: "catalog", "results", or "files" if it stays in Parquet files."""

    @classmethod
    def upgrade(cls, frame: pl.DataFrame) -> pl.DataFrame:
        """A part written by an earlier version, with the present columns; new columns are null."""
        missing = [
            pl.lit(None, dtype=column.dtype).alias(name)
            for name, column in cls.columns().items()
            if name not in frame.columns and column.nullable
        ]
        return frame.with_columns(missing) if missing else frame

    @classmethod
    def typed(cls, frame: pl.DataFrame) -> pl.DataFrame:
        """`frame` with exactly this record's columns and types; ValueError (a bug) if a rule is broken."""
        frame = cls.upgrade(frame)
        try:
            if not frame.height:
                # Without rows no rule can be broken; only the types are set.
                return frame.select(pl.col(name).cast(column.dtype) for name, column in cls.columns().items())
            # Cast only columns of another type: casting all columns takes several times as long as checking the rules.
            other = [
                pl.col(name).cast(column.dtype)
                for name, column in cls.columns().items()
                if frame.schema[name] != column.dtype
            ]
            return cls.validate(frame.select(cls.column_names()).with_columns(other))
        except Exception as error:
            raise ValueError(f"{cls.table}: {error}") from error

    @classmethod
    def from_rows(cls, rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
        """Rows as a typed frame; missing keys become null; without rows the frame is empty and keeps its types."""
        schema = {name: column.dtype for name, column in cls.columns().items()}
        return cls.typed(pl.DataFrame(list(rows), schema=schema, orient="row"))

    @classmethod
    def write(cls, frame: pl.DataFrame, path: Path) -> pl.DataFrame:
        """Write one part with this record's schema, also without rows; returns the written frame."""
        frame = cls.typed(frame)
        write_frame(frame, path)
        return frame

    @classmethod
    def read(cls, paths: Path | Iterable[Path]) -> pl.DataFrame:
        """Parts (files, or a folder of them) as one frame; without parts the frame is empty and keeps its types."""
        if isinstance(paths, Path):
            paths = [paths] if paths.suffix == ".parquet" else sorted(paths.glob("*.parquet"))
        frames = []
        for path in paths:
            try:
                frames.append(cls.upgrade(pl.read_parquet(path)).select(cls.column_names()))
            except FileNotFoundError as error:
                raise CannotFinish(
                    f"{path.name}: this part of {cls.table} was removed while it was being read; repeat the command "
                    f"once the running ingest has ended"
                ) from error
            except (OSError, pl.exceptions.PolarsError) as error:
                raise UserError(
                    f"{path.name}: is not a readable part of {cls.table} ({type(error).__name__}); remove it and "
                    f"repeat the command that wrote it"
                ) from error
        return pl.concat(frames) if frames else cls.create_empty()
