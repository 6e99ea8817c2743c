"""The patients of each cohort and its flow: flow.json and table_one.parquet."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from xray_mining.catalog.order import latest_first
from xray_mining.evaluation.small_cells import Line, with_complements
from xray_mining.evaluation.task import KINDS
from xray_mining.records.cohort import FrozenCohort, Target
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
OTHERS, UNKNOWN = "all others", "not known"
FOLD = "fold "
"""Start of the name of a Table 1 column with the patients of one fold, before its number."""
BY_AGE = ("age_years", "age_band")
"""Variables with the same missing values: a patient without an age has no age band either."""


def flow(cohort: FrozenCohort, experiments: Sequence[str], rotations: int = 1) -> dict[str, Any]:
    """One cohort of flow.json.

    With several `rotations` a member's role differs between rotations, so members are not counted by role.
    """
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
    """Number of test images and test patients: with one rotation by the role test, else tested in any rotation."""
    inside = members.filter(pl.col("split") == "test" if rotations == 1 else pl.col("fold") < rotations)
    return {"images": inside.height, "patients": inside["patient_key"].n_unique()}


_MEANS = ("mean", "deviation", "median", "quarter", "three_quarters")
_NOTHING = dict.fromkeys(("share", *_MEANS))
_HIDDEN = _NOTHING | {"patients": 0, "images": 0, "hidden": True}


def table_one(
    cohort: FrozenCohort, attributes: pl.DataFrame, least: int, width: int, rotations: int = 1
) -> list[dict[str, Any]]:
    """Rows of Table 1 of one cohort; each patient counts once.

    Its columns are all patients, the roles (train, validation, test), and the labels of each target with labels. With
    several `rotations` every member has every role, so there are no columns by role. With roles, sex as a target has
    columns only beside another target's, and only if the sizes of these columns do not reveal a small cell. For a
    target of several labels, each label is a variable, not a column; the level of an ordered target is a variable too.
    Without roles these variables have a column for each fold, because each rotation tests one fold.

    Args:
        cohort: The frozen cohort.
        attributes: Attributes of its members, by image_key.
        least: Cells of fewer patients are hidden.
        width: Width of the age bands in years.
        rotations: Number of rotations of its experiments.

    Returns:
        Dicts with the columns of the record TableOne, sorted by variable, level and column.
    """
    frame, variables, answers, labelled = _members(cohort, attributes, width)
    columns = _columns(frame, labelled, answers, least, rotations)
    variables += answers
    rows: list[dict[str, Any]] = []
    counts: list[int] = []
    of_all = columns.persons["all"]
    for order, name in enumerate(variables):
        if name in frame.columns and of_all[name].null_count() < of_all.height:
            for cell, count in _variable(columns, name, least):
                about = {"cohort": cohort.name, "cohort_digest": cohort.digest, "variable_order": order}
                rows.append(about | cell)
                counts.append(count)
    rows = _with_hidden_cells(rows, columns, counts)
    _without_small_levels(rows, columns)
    return sorted(rows, key=lambda row: (row["variable_order"], row["level_order"], row["column_order"]))


def _members(
    cohort: FrozenCohort, attributes: pl.DataFrame, width: int
) -> tuple[pl.DataFrame, list[str], list[str], list[Target]]:
    """The members with all variables, each patient's latest image first; names of variables; targets with labels.

    The names are in two lists: variables that describe an image, and variables that are answers of a target. The label
    of the i-th target with labels is in the column `_label{i}`.
    """
    from xray_mining.evaluation.subgroups import age_bands

    members = cohort.members().select("image_key", "patient_key", "split", "fold")
    known = [name for name in ("patient_sequence", *NUMBERS, *CATEGORIES) if name in attributes.columns]
    frame = members.join(attributes.select("image_key", *known), on="image_key", how="left")
    frame = frame.with_columns(age_bands(frame["age_years"], width).alias("age_band"))
    answers: list[str] = []
    labelled: list[Target] = []
    values = CohortTargets.read(cohort.folder / "cohort_targets.parquet")
    for target in cohort.targets:
        kind, rows = KINDS.find(target.kind), values.filter(pl.col("target") == target.name)
        if kind.has_labels:
            label = pl.col("label").alias(f"_label{len(labelled)}")
            frame = frame.join(kind.table_labels(rows, target).select("image_key", label), on="image_key", how="left")
            labelled.append(target)
        more = kind.table_variables(rows, target)
        frame = frame.join(more, on="image_key", how="left")
        answers += [name for name in more.columns if name != "image_key"]
    # Each column of Table 1 is a copy of the frame. Leave out the keys, because they need most of its memory.
    frame = latest_first(frame).with_columns(pl.col("patient_key").rank("dense")).drop("image_key")
    return frame, [*NUMBERS, *CATEGORIES], answers, labelled


@dataclass(frozen=True)
class _Columns:
    """The columns of Table 1 that have members."""

    images: Mapping[str, pl.DataFrame]
    persons: Mapping[str, pl.DataFrame]
    """The latest image of each patient in the column."""
    target_of: Mapping[str, str]
    """The target whose label a column is."""
    partitions: Sequence[Sequence[str]]
    """Columns that add up to the column of all patients."""
    pairs: Mapping[str, tuple[str, str]]
    """The two columns whose standardised difference is shown, by target; '' for columns without a target."""
    folds: Collection[str] = ()
    """Columns with the members of one fold."""

    @property
    def sides(self) -> dict[str, tuple[pl.DataFrame | None, pl.DataFrame | None]]:
        """The persons of `pairs`."""
        return {key: (self.persons.get(a), self.persons.get(b)) for key, (a, b) in self.pairs.items()}


def _columns(
    frame: pl.DataFrame, labelled: Sequence[Target], answers: Sequence[str], least: int, rotations: int
) -> _Columns:
    images = {"all": frame}
    folds = {} if rotations == 1 or not answers else _folds(frame, answers)
    roles = ("train", "validation", "test") if rotations == 1 else ()
    for role in roles:
        images[role] = frame.filter(pl.col("split") == role)
    columns_of: dict[str, list[str]] = {}
    shared = Counter(each for target in labelled for each in target.classes)
    for place, target in enumerate(labelled):
        if target.name == "patient_sex" and roles and (len(labelled) == 1 or _a_sex_is_small(frame, least)):
            continue
        for each in target.classes:
            alone = each not in images and each not in folds and (shared[each] == 1 or target.name == "patient_sex")
            column = each if alone else f"{target.name}: {each}"
            columns_of.setdefault(target.name, []).append(column)
            images[column] = frame.filter(pl.col(f"_label{place}") == each)
    parts = {name: part for name, part in (images | folds).items() if part.height}
    persons = {name: part.unique("patient_key", keep="first", maintain_order=True) for name, part in parts.items()}
    # The two labels of each target are compared; columns without a target show the first of these pairs.
    pairs = {
        name: (columns[0], columns[1])
        for name, columns in columns_of.items()
        if len(columns) == 2 and all(each in persons for each in columns)
    }
    return _Columns(
        images=parts,
        persons=persons,
        target_of={column: name for name, columns in columns_of.items() for column in columns},
        partitions=(roles, tuple(folds), *map(tuple, columns_of.values())),
        pairs={"": next(iter(pairs.values()), ("train", "test"))} | pairs,
        folds=tuple(folds),
    )


def _folds(frame: pl.DataFrame, answers: Sequence[str]) -> dict[str, pl.DataFrame]:
    """The members of each fold, with the variables `answers` only: other variables have no columns by fold."""
    named = frame.select("patient_key", "fold", *answers)
    return {f"{FOLD}{each}": named.filter(pl.col("fold") == each) for each in named["fold"].unique().sort().to_list()}


def _variable(columns: _Columns, name: str, least: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Rows of one variable, each with its true number of patients even if the row hides it."""
    number = name in NUMBERS
    differences = {key: standardised_difference(*both, name, number) for key, both in columns.sides.items()}
    named = [] if number else _most_frequent(columns.persons["all"][name])
    of_persons = {label: _level(part[name], named) for label, part in columns.persons.items() if name in part.columns}
    levels = [""] if number else _levels(of_persons.values(), named)
    for column, (label, part) in enumerate(columns.persons.items()):
        if name not in part.columns:
            continue
        images = columns.images[label]
        of_images = _level(images[name], named)
        target = columns.target_of.get(label, "")
        for place, level in enumerate(levels):
            about: dict[str, Any] = {
                "column": label,
                "column_order": column,
                "variable": name,
                "unit": NUMBERS.get(name, ""),
                "level": level,
                "level_order": place,
                "target": target,
                "standardised_difference": differences.get(target),
            }
            if number:
                yield about | _number(part, images, name, least), part.height - part[name].null_count()
            else:
                inside = of_persons[label] == level
                yield about | _count(inside, of_images == level, least), int(inside.sum())


def _with_hidden_cells(rows: list[dict[str, Any]], columns: _Columns, counts: Sequence[int]) -> list[dict[str, Any]]:
    """Hide all cells of `rows` from which a small cell could be computed.

    If the folds of a variable would force cells of other columns to be hidden, all cells of its folds are hidden
    instead, because the frequency of a label among all patients is more important than its frequency by fold.
    """
    found = hide_what_tells_of_small_cells(list(rows), columns.partitions, counts)
    plain = [number for number, row in enumerate(rows) if row["column"] not in columns.folds]
    if len(plain) == len(rows):
        return found
    own = [rows[number] for number in plain], [counts[number] for number in plain]
    without = dict(zip(plain, hide_what_tells_of_small_cells(own[0], columns.partitions, own[1]), strict=True))
    lost = {row["variable"] for number, row in without.items() if found[number]["hidden"] and not row["hidden"]}
    return [
        row if row["variable"] not in lost else without.get(number, row | _HIDDEN) for number, row in enumerate(found)
    ]


def _without_small_levels(rows: Sequence[dict[str, Any]], columns: _Columns) -> None:
    """Compute standardised differences of variables with hidden levels again, with the hidden levels as one level.

    Writes them into `rows`.
    """
    for name in {row["variable"] for row in rows if row["hidden"] and row["level"]}:
        mine = [row for row in rows if row["variable"] == name]
        for key, (first, second) in columns.sides.items():
            few = {row["level"] for row in mine if row["hidden"] and row["column"] in columns.pairs[key]}
            if first is not None and second is not None and few:
                shown = [level for level in dict.fromkeys(row["level"] for row in mine) if level not in few]
                named = _most_frequent(columns.persons["all"][name])
                levels_of = (_as_one(_level(each[name], named), shown) for each in (first, second))
                difference = _difference_of_levels(*levels_of)
                for row in mine:
                    if row["target"] == key:
                        row["standardised_difference"] = difference


def _a_sex_is_small(frame: pl.DataFrame, least: int) -> bool:
    """Whether the sizes of columns by sex would reveal a sex (or unknown sex) with too few patients to print."""
    persons = frame.unique("patient_key", keep="first", maintain_order=True)
    return "patient_sex" in frame.columns and bool((persons["patient_sex"].value_counts()["count"] < least).any())


def hide_what_tells_of_small_cells(
    rows: list[dict[str, Any]], partitions: Sequence[Sequence[str]], patients: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """Hide more cells of Table 1, so that no small cell can be computed from the printed ones.

    A small cell can be computed from three sorts of sums: columns that add up to the column `all`; levels of a variable
    that add up to the patients of a column; and patients with a known age plus those without an age band. If the number
    of known ages would reveal a small cell, the mean age is still printed, but not the number.

    Args:
        rows: Rows of Table 1, in which small cells are hidden already.
        partitions: Groups of columns that add up to the column `all`.
        patients: The true counts of all rows, including hidden ones. Without them each sum is checked separately, but
            not all sums together.

    Returns:
        The rows with more of them hidden.
    """
    place = {(row["variable"], row["level"], row["column"]): number for number, row in enumerate(rows)}
    counts = dict(enumerate(patients)) or {n: row["patients"] or int(row["hidden"]) for n, row in enumerate(rows)}
    few = [number for number, row in enumerate(rows) if row["hidden"]]
    variables = list(dict.fromkeys(row["variable"] for row in rows))
    families = [[name for name in variables if name in BY_AGE], *([name] for name in variables if name not in BY_AGE)]
    found: set[int] = set()
    for family in families:
        lines = _lines(rows, place, [name for name in variables if name in family], partitions)
        mine = [number for number in few if rows[number]["variable"] in family]
        found |= with_complements(lines, counts, mine, line_by_line=not patients)
    # The mean age of a few patients follows from the means of all patients and of the others. So if one mean is hidden
    # because of few patients, the other means of hidden rows are hidden too.
    print_means = not any(rows[number]["level"] == "" for number in few)
    for number in found - set(few):
        row = rows[number]
        kept = {name: _rounded(row[name]) for name in _MEANS} if row["level"] == "" and print_means else {}
        rows[number] = row | _HIDDEN | kept
    return rows


def _lines(
    rows: Sequence[Mapping[str, Any]],
    place: Mapping[tuple[str, str, str], int],
    variables: Sequence[str],
    partitions: Sequence[Sequence[str]],
) -> list[Line[int]]:
    mine = [row for row in rows if row["variable"] in variables]
    columns = list(dict.fromkeys(row["column"] for row in mine))
    lines = []
    for variable, level in dict.fromkeys((row["variable"], row["level"]) for row in mine):
        for partition in partitions:
            cells = [place[variable, level, each] for each in partition if (variable, level, each) in place]
            if cells and (variable, level, "all") in place:
                lines.append(Line(tuple(cells), place[variable, level, "all"]))
    for column in columns:
        for variable in variables:
            cells = [
                place[row["variable"], row["level"], column]
                for row in mine
                if row["variable"] == variable and row["column"] == column and row["level"]
            ]
            if cells:
                lines.append(Line(tuple(cells)))
        both = [place.get((name, level, column)) for name, level in (("age_years", ""), ("age_band", UNKNOWN))]
        if both[0] is not None and both[1] is not None:
            lines.append(Line((both[0], both[1])))
    return lines


def hidden_levels(rows: Sequence[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """The cells of tested patients that Table 1 hides, as (variable, level, sex); sex is '' for all together."""
    tested = "test" if any(row["column"] == "test" for row in rows) else "all"
    return {
        (row["variable"], row["level"], "" if row["column"] == tested else row["column"])
        for row in rows
        if row["hidden"] and row["column"] in (tested, *SEXES)
    }


def _most_frequent(values: pl.Series) -> list[str]:
    """The most frequent levels, which have separate rows, by name or in their own order; ties are decided by name."""
    counts = values.cast(pl.String).drop_nulls().value_counts(name="count")
    found = counts.sort("count", values.name, descending=[True, False])[values.name][:LEVELS_AT_MOST].to_list()
    if isinstance(values.dtype, pl.Enum):
        return [each for each in values.dtype.categories.to_list() if each in found]
    return sorted(found)


def _level(values: pl.Series, named: Sequence[str]) -> pl.Series:
    """The level of each value in Table 1, (n,) text: its own name, 'all others' or 'not known'."""
    text = values.cast(pl.String)
    frame = pl.DataFrame({"text": text})
    return frame.select(
        pl.when(pl.col("text").is_null())
        .then(pl.lit(UNKNOWN))
        .when(pl.col("text").is_in(list(named)))
        .then(pl.col("text"))
        .otherwise(pl.lit(OTHERS))
        .alias("level")
    )["level"]


def _levels(of_persons: Iterable[pl.Series], named: Sequence[str]) -> list[str]:
    """The levels of a variable, in order; a label's column may have a level that the column of all patients lacks."""
    present = {level for each in of_persons for level in each.unique().to_list()}
    return [*named, *(level for level in (OTHERS, UNKNOWN) if level in present and level not in named)]


def _number(persons: pl.DataFrame, images: pl.DataFrame, name: str, least: int) -> dict[str, Any]:
    values = persons[name].drop_nulls().to_numpy()
    if not len(values):
        return _NOTHING | {"patients": 0, "images": 0, "share": 0.0, "hidden": False}
    if len(values) < least:
        return _HIDDEN
    quarter, median, three_quarters = np.quantile(values, (0.25, 0.5, 0.75))
    return {
        "patients": len(values),
        "images": images[name].len() - images[name].null_count(),
        "share": len(values) / persons.height,
        "mean": float(values.mean()),
        "deviation": float(values.std(ddof=1)) if len(values) > 1 else None,
        "median": float(median),
        "quarter": float(quarter),
        "three_quarters": float(three_quarters),
        "hidden": False,
    }


def _count(persons: pl.Series, images: pl.Series, least: int) -> dict[str, Any]:
    count = int(persons.sum())
    if 0 < count < least:
        return _HIDDEN
    return _NOTHING | {
        "patients": count,
        "images": int(images.sum()),
        "share": count / len(persons),
        "hidden": False,
    }


def _rounded(value: float | None) -> float | None:
    """Round to 0.1, because a mean of whole years with all its digits reveals the number of patients."""
    return None if value is None else round(value, 1)


def standardised_difference(
    first: pl.DataFrame | None, second: pl.DataFrame | None, name: str, number: bool
) -> float | None:
    """Difference of two groups divided by their standard deviation (root of the mean of both variances).

    For categories by Yang and Dalton (SAS Global Forum 2012, paper 335). None if it is not defined, for example if the
    groups share no level.
    """
    if first is None or second is None:
        return None
    if number:
        a, b = first[name].drop_nulls().to_numpy(), second[name].drop_nulls().to_numpy()
        if len(a) < 2 or len(b) < 2:
            return None
        spread = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
        return float((a.mean() - b.mean()) / spread) if spread > 0 else None
    a, b = (each[name].cast(pl.String).fill_null(UNKNOWN) for each in (first, second))
    return _difference_of_levels(a, b)


def _as_one(levels: pl.Series, shown: Sequence[str]) -> pl.Series:
    """Replace all hidden levels in `levels` (n,) by one, so that a difference does not reveal more than the table."""
    return pl.DataFrame({"level": levels}).select(
        pl.when(pl.col("level").is_in(list(shown))).then(pl.col("level")).otherwise(pl.lit("")).alias("level")
    )["level"]


def _difference_of_levels(a: pl.Series, b: pl.Series) -> float | None:
    shared = set(a.unique().to_list()) & set(b.unique().to_list())
    levels = sorted(set(a.unique().to_list()) | set(b.unique().to_list()))[1:]
    if not levels or not shared:
        return None
    p = np.array([float((a == each).mean()) for each in levels])
    q = np.array([float((b == each).mean()) for each in levels])
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    if np.linalg.matrix_rank(covariance, hermitian=True) < len(levels):
        # Without variance in both groups a difference is infinite or zero.
        return None
    return float(np.sqrt(max((p - q) @ np.linalg.solve(covariance, p - q), 0.0)))
