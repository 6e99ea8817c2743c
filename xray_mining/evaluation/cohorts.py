"""Who is in each cohort, and how it came about: flow.json and table_one.parquet."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from xray_mining.catalog.order import latest_first
from xray_mining.evaluation.small_cells import with_complements
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.cohort_targets import CohortTargets

NUMBERS = {"age_years": "years"}
CATEGORIES = (
    "patient_sex",
    "age_band",
    "view_position",
    "manufacturer",
    "archive",
    "study_year",
    "laterality",
    "burned_in_text",
)
SEXES = ("F", "M", "O")
LEVELS_AT_MOST = 12


def flow(cohort: FrozenCohort, experiments: Sequence[str], rotations: int = 1) -> dict[str, Any]:
    """One cohort of flow.json; under several `rotations` its members have no role of their own, so none is counted."""
    members = cohort.members()
    roles = members.group_by("split").agg(pl.len().alias("images"), pl.col("patient_key").n_unique().alias("patients"))
    counts = {row["split"]: row for row in roles.to_dicts()}
    return {
        "cohort": cohort.name,
        "digest": cohort.digest,
        "query": cohort.query,
        "sql": cohort.sql,
        "parameters": dict(cohort.parameters),
        "salt": cohort.salt,
        "folds": cohort.folds,
        "split_given": cohort.split_given,
        "catalog_digest": cohort.catalog_digest,
        "store": cohort.store,
        "sentences": list(cohort.sentences),
        "targets": [asdict(each) for each in cohort.targets],
        "steps": [asdict(each) for each in cohort.flow],
        "roles": [
            {"role": role, "images": counts[role]["images"], "patients": counts[role]["patients"]}
            for role in ("train", "validation", "test")
            if role in counts and rotations == 1
        ],
        "rotations": rotations,
        "tested": tested(members, rotations),
        "experiments": list(experiments),
    }


def tested(members: pl.DataFrame, rotations: int) -> dict[str, int]:
    """Images and patients of a cohort that are tested: those of the role test, or of any rotation's fold."""
    inside = members.filter(pl.col("split") == "test" if rotations == 1 else pl.col("fold") < rotations)
    return {"images": inside.height, "patients": inside["patient_key"].n_unique()}


_NOTHING = dict.fromkeys(("share", "mean", "deviation", "median", "quarter", "three_quarters"))


def table_one(
    cohort: FrozenCohort, attributes: pl.DataFrame, least: int, width: int, rotations: int = 1
) -> list[dict[str, Any]]:
    """Rows of Table 1 of one cohort: per patient, by role and by the labels of its first target with labels.

    Under several `rotations` every member is trained on, validates and is tested: there is no column by role then, and
    the labels of sex, too, have columns of their own.
    """
    from xray_mining.evaluation.subgroups import age_bands

    members = cohort.members().select("image_key", "patient_key", "split")
    told = [name for name in ("patient_sequence", *NUMBERS, *CATEGORIES) if name in attributes.columns]
    frame = members.join(attributes.select("image_key", *told), on="image_key", how="left")
    frame = frame.with_columns(age_bands(frame["age_years"], width).alias("age_band"))
    labelled = next((each for each in cohort.targets if each.kind in ("binary", "group")), None)
    if labelled is not None:
        targets = CohortTargets.read(cohort.folder / "cohort_targets.parquet").filter(pl.col("target") == labelled.name)
        other = next((each for each in labelled.classes if each != labelled.positive), "")
        label = (
            pl.coalesce(
                pl.col("label"),
                pl.when(pl.col("value") == 1)
                .then(pl.lit(labelled.positive))
                .when(pl.col("value") == 0)
                .then(pl.lit(other)),
            )
            if labelled.kind == "binary"
            else pl.col("label")
        )
        frame = frame.join(targets.select("image_key", label.alias("_label")), on="image_key", how="left")
    else:
        frame = frame.with_columns(pl.lit(None, pl.String).alias("_label"))
    # the latest image of a patient first, so that it stands for the patient in every column; each column is a copy, so
    # the keys, most of what a frame of millions holds, do not go along
    frame = latest_first(frame).with_columns(pl.col("patient_key").rank("dense")).drop("image_key")
    images = {"all": frame}
    roles = ("train", "validation", "test") if rotations == 1 else ()
    for role in roles:
        images[role] = frame.filter(pl.col("split") == role)
    labels = list(labelled.classes) if labelled is not None else []
    if labelled is not None and (labelled.name != "patient_sex" or not roles):
        for each in labels:
            images[each] = frame.filter(pl.col("_label") == each)
    parts = {name: part for name, part in images.items() if part.height}
    persons = {name: part.unique("patient_key", keep="first", maintain_order=True) for name, part in parts.items()}
    pair = (labels[0], labels[1]) if len(labels) == 2 and all(each in persons for each in labels) else ("train", "test")
    first, second = persons.get(pair[0]), persons.get(pair[1])
    rows = []
    for order, name in enumerate([*NUMBERS, *CATEGORIES]):
        number = name in NUMBERS
        if persons["all"][name].null_count() == persons["all"].height:
            continue
        difference = standardised_difference(first, second, name, number)
        levels = [""] if number else _levels(persons["all"][name])
        for place, level in enumerate(levels):
            for column, (label, part) in enumerate(persons.items()):
                base: dict[str, Any] = {
                    "cohort": cohort.name,
                    "cohort_digest": cohort.digest,
                    "column": label,
                    "column_order": column,
                    "variable": name,
                    "variable_order": order,
                    "unit": NUMBERS.get(name, ""),
                    "level": level,
                    "level_order": place,
                    "standardised_difference": difference,
                }
                rows.append(base | _cell(part, parts[label], name, level, number=number, least=least))
    return hide_what_tells_of_small_cells(rows, (roles, tuple(labels)))


def hide_what_tells_of_small_cells(
    rows: list[dict[str, Any]], partitions: Sequence[Sequence[str]]
) -> list[dict[str, Any]]:
    """Rows of Table 1 with a second cell hidden wherever a sum would give a single hidden one away.

    `partitions` names columns whose counts add up to those of the column `all`; the levels of a variable add up to the
    patients of a column. The smallest cell that is printed goes, until no line has exactly one hidden cell.
    """
    counted = [row for row in rows if row["level"]]
    lines: list[list[dict[str, Any]]] = []
    for variable, level in dict.fromkeys((row["variable"], row["level"]) for row in counted):
        of_level = [row for row in counted if (row["variable"], row["level"]) == (variable, level)]
        lines += [[row for row in of_level if row["column"] in columns] for columns in partitions]
    for variable, column in dict.fromkeys((row["variable"], row["column"]) for row in counted):
        lines.append([row for row in counted if (row["variable"], row["column"]) == (variable, column)])
    place = {id(row): number for number, row in enumerate(rows)}
    counts = {number: row["patients"] for number, row in enumerate(rows)}
    few = [number for number, row in enumerate(rows) if row["hidden"] and row["level"]]
    for number in with_complements([[place[id(row)] for row in line] for line in lines], counts, few):
        rows[number] |= _NOTHING | {"patients": 0, "images": 0, "hidden": True}
    return rows


def hidden_levels(rows: Sequence[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """What Table 1 does not tell of those who are tested: (variable, level, sex), sex '' for both together."""
    tested = "test" if any(row["column"] == "test" for row in rows) else "all"
    return {
        (row["variable"], row["level"], "" if row["column"] == tested else row["column"])
        for row in rows
        if row["hidden"] and row["column"] in (tested, *SEXES)
    }


def _levels(values: pl.Series) -> list[str]:
    counts = values.cast(pl.String).drop_nulls().value_counts(sort=True)
    names = counts[values.name].to_list()
    kept = sorted(names[:LEVELS_AT_MOST])
    if len(names) > LEVELS_AT_MOST:
        kept.append("all others")
    if values.null_count():
        kept.append("not known")
    return kept


def _cell(
    persons: pl.DataFrame, images: pl.DataFrame, name: str, level: str, *, number: bool, least: int
) -> dict[str, Any]:
    if number:
        values = persons[name].drop_nulls().to_numpy()
        shown = images.filter(pl.col(name).is_not_null())
        if len(values) < least:
            return _NOTHING | {"patients": 0, "images": 0, "hidden": True}
        quarter, median, three_quarters = np.quantile(values, (0.25, 0.5, 0.75))
        return {
            "patients": len(values),
            "images": shown.height,
            "share": len(values) / persons.height,
            "mean": float(values.mean()),
            "deviation": float(values.std(ddof=1)) if len(values) > 1 else None,
            "median": float(median),
            "quarter": float(quarter),
            "three_quarters": float(three_quarters),
            "hidden": False,
        }
    inside = _of_level(name, level, persons)
    count = persons.filter(inside).height
    if 0 < count < least:
        return _NOTHING | {"patients": 0, "images": 0, "hidden": True}
    return _NOTHING | {
        "patients": count,
        "images": images.filter(inside).height,
        "share": count / persons.height,
        "hidden": False,
    }


def _of_level(name: str, level: str, persons: pl.DataFrame) -> pl.Expr:
    column = pl.col(name).cast(pl.String)
    if level == "not known":
        return column.is_null()
    if level == "all others":
        named = persons[name].cast(pl.String).drop_nulls().value_counts(sort=True)[name].to_list()[:LEVELS_AT_MOST]
        return column.is_not_null() & ~column.is_in(named)
    return column == level


def standardised_difference(
    first: pl.DataFrame | None, second: pl.DataFrame | None, name: str, number: bool
) -> float | None:
    """Difference of two groups in units of their spread; for categories Yang and Dalton's (SAS Global Forum 2012, 335).

    None where it is not defined, as for groups that share no level.
    """
    if first is None or second is None:
        return None
    if number:
        a, b = first[name].drop_nulls().to_numpy(), second[name].drop_nulls().to_numpy()
        if len(a) < 2 or len(b) < 2:
            return None
        spread = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
        return float((a.mean() - b.mean()) / spread) if spread > 0 else None
    a, b = first[name].cast(pl.String).fill_null("not known"), second[name].cast(pl.String).fill_null("not known")
    shared = set(a.unique().to_list()) & set(b.unique().to_list())
    levels = sorted(set(a.unique().to_list()) | set(b.unique().to_list()))[1:]
    if not levels or not shared:
        return None
    p = np.array([float((a == each).mean()) for each in levels])
    q = np.array([float((b == each).mean()) for each in levels])
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    if np.linalg.matrix_rank(covariance, hermitian=True) < len(levels):
        # A direction without spread in either group: the groups differ there beyond measure, or not at all.
        return None
    return float(np.sqrt(max((p - q) @ np.linalg.solve(covariance, p - q), 0.0)))
