"""Which row of a table belongs to a file: the row that states its path, else a row whose name fits only this file.

If no row states a file's path, it is matched by the end of its path, then by its file name, then by the name without a
known suffix; a match counts only if no other row and no other file has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

EXACT, BY_PATH_END, BY_NAME, BY_STEM = range(4)
_NO_LEVEL = -1
# Suffixes that tables leave out or conversion changes. 'case7.post' has none: the point is part of its name.
_ENDING = r"(?i)\.(?:dcm|dicom|ima|png|jpe?g|jp2|j2k|tiff?|bmp|nii|mha|mhd|nrrd)(?:\.gz)?$"
CLAIMS_SCHEMA = {"file": pl.Int64, "row": pl.Int64, "level": pl.Int64, "rivals": pl.Boolean}
CONTESTED_SCHEMA = {"row": pl.Int64, "level": pl.Int64}


@dataclass(frozen=True, slots=True)
class FileName:
    """How a table may name a file: by the path in the archive or below the images' folder, in this order."""

    paths: tuple[str, ...]


def path_texts(path: bytes) -> list[str]:
    """A path as a table may write it; bytes that are not UTF-8 are read as letters of an older encoding."""
    try:
        return [path.decode()]
    except UnicodeDecodeError:
        escaped = path.decode("utf-8", "backslashreplace")
        try:
            return [path.decode("cp1252"), escaped]
        except UnicodeDecodeError:
            return [path.decode("latin-1"), escaped]


def _path(column: pl.Expr) -> pl.Expr:
    """A path in a normal form: composed Unicode, forward slashes, no drive, nothing before the first name."""
    plain = column.str.normalize("NFC").str.replace_all("\\", "/", literal=True)
    plain = plain.str.replace(r"^[A-Za-z]:", "").str.replace_all(r"/(?:\.?/)+", "/")
    return plain.str.replace(r"^(?:\.{0,2}/)+", "")


def _name(path: pl.Expr) -> pl.Expr:
    """Null for a folder's path."""
    return path.str.extract(r"([^/]+)$")


class RowNames:
    """The rows of a table by the names that they state."""

    def __init__(self, lazy: pl.LazyFrame) -> None:
        self.lazy = lazy
        """Columns row, path, name, stem: from `of`, or kept from an earlier `of`."""

    @classmethod
    def of(cls, stated: pl.Series, broken: frozenset[int] = frozenset()) -> "RowNames":
        """From a table's column. A broken row is used only if no complete row states its path."""
        rows = pl.DataFrame({"row": pl.int_range(len(stated), dtype=pl.Int64, eager=True), "stated": stated})
        rows = rows.with_columns(
            pl.col("row").is_in(pl.Series(sorted(broken), dtype=pl.Int64).implode()).alias("late"),
            _path(pl.col("stated")).alias("path"),
        )
        rows = rows.filter(pl.col("path").is_not_null() & (pl.col("path") != "")).sort("late", "row")
        # If several rows state one path, the first is used.
        rows = rows.unique("path", keep="first", maintain_order=True)
        named = rows.select("row", "path", _name(pl.col("path")).alias("name"))
        return cls(named.with_columns(pl.col("name").str.replace(_ENDING, "").alias("stem")).lazy())

    def __len__(self) -> int:
        """Number of stated paths."""
        return int(self.lazy.select(pl.len()).collect().item())

    def claims(self, files: Sequence[FileName]) -> pl.DataFrame:
        """The row that each file may claim: columns file, row, level, rivals (whether other rows match as well).

        Files without a matching row are left out.
        """
        names = pl.DataFrame(
            {"file": range(len(files)), "path": [list(each.paths) for each in files]},
            schema={"file": pl.Int64, "path": pl.List(pl.String)},
        )
        names = names.explode("path").with_columns(
            _path(pl.col("path")), pl.int_range(pl.len()).over("file").alias("order")
        )
        names = names.filter(pl.col("path") != "").with_columns(_name(pl.col("path")).alias("name"))
        names = names.with_columns(pl.col("name").str.replace(_ENDING, "").alias("stem"))
        exact = names.join(self._rows_of("path", names["path"]), on="path", how="inner").sort("file", "order")
        exact = exact.unique("file", keep="first", maintain_order=True)
        found = [
            exact.select("file", "row", pl.lit(EXACT, pl.Int64).alias("level"), pl.lit(value=False).alias("rivals"))
        ]
        left = names.join(exact, on="file", how="anti")
        for level, find in ((BY_PATH_END, self._by_path_end), (BY_NAME, self._by_name), (BY_STEM, self._by_stem)):
            if left.is_empty():
                break
            # A row may match two of a file's paths; several rows of one name are rivals.
            rivals = ((pl.col("row").n_unique() > 1) | (pl.col("rows") > 1).any()).alias("rivals")
            claimed = find(left).group_by("file").agg(pl.col("row").min(), rivals)
            found.append(claimed.select("file", "row", pl.lit(level, pl.Int64).alias("level"), "rivals"))
            left = left.join(claimed, on="file", how="anti")
        return pl.concat(found).sort("file").select(list(CLAIMS_SCHEMA))

    def _rows_of(self, column: str, wanted: pl.Series) -> pl.DataFrame:
        """Rows whose path, name or stem is one of these: the first of each, and how many rows have it.

        If every picture is called view1_frontal.jpg, listing all pairs of files and rows would give billions.
        """
        same = self.lazy.filter(pl.col(column).is_in(wanted.drop_nulls().unique().implode()))
        return same.group_by(column).agg(pl.col("row").min(), pl.len().alias("rows")).collect()

    def _by_name(self, left: pl.DataFrame) -> pl.DataFrame:
        return left.unique(["file", "name"]).join(self._rows_of("name", left["name"]), on="name", how="inner")

    def _by_stem(self, left: pl.DataFrame) -> pl.DataFrame:
        return left.unique(["file", "stem"]).join(self._rows_of("stem", left["stem"]), on="stem", how="inner")

    def _by_path_end(self, left: pl.DataFrame) -> pl.DataFrame:
        """Rows whose path is the end of the file's path, or contains it as its end; needs at least one folder name."""
        left = left.select("file", "path", pl.col("path").str.count_matches("/").alias("folders"))
        left = left.filter(pl.col("folders") > 0)
        found = []
        for folders in range(1, max(left["folders"], default=0)):
            ends = left.filter(pl.col("folders") > folders).with_columns(_end_of("path", folders))
            found.append(ends.join(self._rows_of("path", ends["end"]), left_on="end", right_on="path", how="inner"))
        for folders in left["folders"].unique().sort():
            mine = left.filter(pl.col("folders") == folders)
            longer = self.lazy.with_columns(_end_of("path", folders)).filter(
                pl.col("end").is_in(mine["path"].unique().implode()) & (pl.col("end") != pl.col("path"))
            )
            ends = longer.group_by("end").agg(pl.col("row").min(), pl.len().alias("rows")).collect()
            found.append(mine.join(ends, left_on="path", right_on="end", how="inner"))
        empty = pl.DataFrame(schema={"file": pl.Int64, "row": pl.Int64, "rows": pl.UInt32})
        return pl.concat([empty, *(each.select("file", "row", "rows") for each in found)])


def _end_of(path: str, folders: int) -> pl.Expr:
    """The last part of a path with this many folders, as `end`; null if the path has fewer."""
    return pl.col(path).str.extract(rf"((?:[^/]+/){{{folders}}}[^/]+)$").alias("end")


def contested(claims: pl.DataFrame) -> pl.DataFrame:
    """Rows that several files claim, with the level at which exactly one file matches.

    -1 if there is no such level: several files have the same match.
    """
    good = claims.filter(~pl.col("rivals"))
    best = good.filter(pl.col("level") == pl.col("level").min().over("row"))
    settled = best.group_by("row").agg(pl.col("level").first(), pl.len().alias("files"))
    one_good = (pl.col("files") == 1) | (pl.col("level") == EXACT)
    settled = settled.select("row", pl.when(one_good).then("level").otherwise(_NO_LEVEL).cast(pl.Int64).alias("level"))
    several = good.group_by("row").len().filter(pl.col("len") > 1)
    return settled.join(several, on="row", how="semi").sort("row").select(list(CONTESTED_SCHEMA))


@dataclass(frozen=True, slots=True)
class RowOf:
    """The row found for a file's name."""

    row: int | None
    rivals: bool = False
    """Some rows match, but they match other files as well."""


def settled(claims: pl.DataFrame, contested_rows: pl.DataFrame) -> dict[int, RowOf]:
    """The row of each file that claims one, by the file's number."""
    joined = claims.join(contested_rows.rename({"level": "good"}), on="row", how="left")
    found = {}
    for file, row, level, rivals, good in joined.select("file", "row", "level", "rivals", "good").iter_rows():
        lost = rivals or (good is not None and good != level)
        # If another file is named exactly by the row, the row belongs to that file, and this file has none.
        found[file] = RowOf(None, rivals=rivals or good != EXACT) if lost else RowOf(row)
    return found
