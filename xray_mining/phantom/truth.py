"""The truth table beside the archive: one row per instance, every column with unit, kind and description."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xray_mining.phantom.anatomy import ANATOMY_COLUMNS
from xray_mining.phantom.plant import Plant

if TYPE_CHECKING:
    import polars as pl

KEYS = ("sop_instance_uid", "patient_id")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the truth table; text columns have no unit and hold the name of a group."""

    unit: str
    kind: str  # anatomy: true for any exposure; acquisition: of this picture; planted
    description: str
    text: bool = False


_ACQUISITION: dict[str, Column] = {
    "rotation_degrees": Column("degree", "acquisition", "turn of the person about the long axis"),
    "inspiration_fraction": Column("1", "acquisition", "share of the full lung height"),
    "magnification": Column("1", "acquisition", "of the middle of the thorax on the detector"),
    "right_lung_area_cm2": Column("cm2", "acquisition", "area of the right lung's mask on the detector"),
    "left_lung_area_cm2": Column("cm2", "acquisition", "area of the left lung's mask on the detector"),
    "heart_area_cm2": Column("cm2", "acquisition", "area of the heart's mask on the detector"),
    "projected_heart_width_mm": Column("mm", "acquisition", "greatest width of the heart's mask on the detector"),
    "null_group": Column("", "planted", "A or B, drawn at random and independent of everything", text=True),
}

_TEXT = {"disease_group", "disease_group_true", "gap_group", "leak_of"}


def columns(planted: Iterable[Plant]) -> Mapping[str, Column]:
    """The truth columns of an archive in order: anatomy, acquisition, planted."""
    found = {name: Column(unit, "anatomy", words) for name, (unit, words) in ANATOMY_COLUMNS.items()}
    found |= _ACQUISITION
    for each in planted:
        for name, (unit, words) in each.columns.items():
            found[name] = Column(unit, "planted", words, text=name in _TEXT)
    return found


def frame(rows: list[dict[str, float | str | None]], known: Mapping[str, Column]) -> "pl.DataFrame":
    """Rows as the truth table: keys first, numbers float64, groups text; missing values are null."""
    import polars as pl

    schema: dict[str, type[pl.DataType]] = dict.fromkeys(KEYS, pl.String)
    schema |= {name: pl.String if column.text else pl.Float64 for name, column in known.items()}
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def described(known: Mapping[str, Column]) -> dict[str, dict[str, str]]:
    """The content of truth_columns.json."""
    return {
        name: {"unit": column.unit, "kind": column.kind, "description": column.description}
        for name, column in known.items()
    }
