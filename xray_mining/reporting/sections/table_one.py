"""Table 1: the patients of each cohort."""

from typing import Any

import polars as pl

from xray_mining.evaluation.cohorts import FOLD
from xray_mining.records.images import YEARS_ARE_SHIFTED
from xray_mining.records.words import column_words
from xray_mining.reporting.metrics import number
from xray_mining.reporting.results import Results, slug
from xray_mining.reporting.section import HIDDEN, Block, Cell, Column, Part, Row, Section, Table, hidden_note

ORDER = 20
FIRST_ROWS = 8
"""Number of rows before the reader opens the table: age, sex and the first age bands."""


def variable_words(name: str) -> str:
    """The name of a variable in words."""
    return column_words(name).capitalize()


def applies(results: Results) -> bool:
    """Always."""
    return True


def build(results: Results) -> Section:
    """One table for each cohort, with columns for all members, the roles, and the labels of each target."""
    names = results.table_one["cohort"].unique(maintain_order=True).to_list()
    if not names:
        return Section("table-one", "Who they are", "Table 1 has no rows for this study.")
    tables = [_tables(results, name) for name in names]
    blocks: tuple[Block, ...] = (
        tables[0]
        if len(tables) == 1
        else tuple(Part(f"Cohort {results.cohort_words(name)}", each) for name, each in zip(names, tables, strict=True))
    )
    least = results.notes.least_patients
    return Section(
        "table-one",
        "Who they are",
        f"Each patient is counted once, as on the latest image. Cells with fewer than {least} patients are not "
        "printed, nor cells from which such a number could be computed. Subgroups leaves out the same groups, and "
        "Error by age hides the same counts.",
        blocks,
    )


def _tables(results: Results, cohort: str) -> tuple[Table, ...]:
    """Table 1 of one cohort, and a table by fold if it has columns by fold."""
    rows = results.table_one.filter(pl.col("cohort") == cohort)
    # A label of a target may begin with the same word, but then its column names the target.
    by_fold = pl.col("column").str.starts_with(FOLD) & (pl.col("target").fill_null("") == "")
    folds = rows.filter(by_fold)
    main = _table(results, cohort, rows.filter(~by_fold))
    return (main,) if folds.is_empty() else (main, _by_fold(results, cohort, rows, folds))


def _by_fold(results: Results, cohort: str, rows: pl.DataFrame, folds: pl.DataFrame) -> Table:
    """A table of the frequency of each label or level, among all patients and among the patients of each fold."""
    columns = ["all", *folds.sort("column_order")["column"].unique(maintain_order=True).to_list()]
    mine = rows.filter(pl.col("variable").is_in(folds["variable"].unique().implode()))
    lines: list[Row] = []
    for variable, level in (
        mine.sort("variable_order", "level_order").select("variable", "level").unique(maintain_order=True).rows()
    ):
        cells = {row["column"]: row for row in mine.filter(variable=variable, level=level).iter_rows(named=True)}
        words = f"{variable_words(variable)}: {level}"
        lines.append(Row((Cell(words), *(cell_of(cells.get(column)) for column in columns))))
    notes = [hidden_note(results.notes.least_patients)] if any(HIDDEN in line.cells for line in lines) else []
    notes.append("Each fold is tested by the fits of one rotation, which learn from other folds.")
    return Table(
        f"table-one-{slug(cohort)}-folds",
        f"Labels and levels of the cohort {results.cohort_words(cohort)} by fold: number of patients, share",
        (Column(""), *(Column(column[:1].upper() + column[1:], numeric=True) for column in columns)),
        tuple(lines),
        " ".join(notes),
        first=FIRST_ROWS,
    )


def _table(results: Results, cohort: str, rows: pl.DataFrame) -> Table:
    """Table 1 of one cohort without columns by fold: a row for each level of each variable."""
    columns = rows.select("column", "column_order").unique().sort("column_order", "column")["column"].to_list()
    by_target = _columns_by_target(rows)
    differing = rows.filter(pl.col("standardised_difference").is_not_null())
    known = set(differing["target"].fill_null("").to_list())
    # One column of differences for each target; without targets, one for training and test patients.
    asked = [target for target in by_target if target in known] or ([""] if "" in known else [])
    lines: list[Row] = []
    keys = rows.select("variable", "variable_order", "unit").unique().sort("variable_order", "variable").rows()
    for variable, _, unit in keys:
        of_variable = rows.filter((pl.col("variable") == variable) & (pl.col("unit") == unit))
        levels = of_variable.select("level", "level_order").unique().sort("level_order", "level")["level"].to_list()
        for level in levels:
            cells = {row["column"]: row for row in of_variable.filter(pl.col("level") == level).iter_rows(named=True)}
            words = variable_words(variable) + (f", {unit}" if unit else "") + (f": {level}" if level else "")
            line = [Cell(words)]
            line += [cell_of(cells.get(column)) for column in columns]
            for target in asked:
                found = [row["standardised_difference"] for row in cells.values() if (row["target"] or "") == target]
                value = next((each for each in found if each is not None), None)
                line.append(Cell(number(value, 2), value=value))
            lines.append(Row(tuple(line)))
    heads = [Column(""), *(Column(column[:1].upper() + column[1:], numeric=True) for column in columns)]
    for target in asked:
        pair = " and ".join(by_target.get(target, ()))
        title = f"SMD, {variable_words(target).lower()}" if len(asked) > 1 else "SMD"
        meaning = "Standardised mean difference; above 0.1 the groups differ noticeably."
        heads.append(Column(title, numeric=True, explanation=f"{meaning} Between {pair}." if pair else meaning))
    notes = [hidden_note(results.notes.least_patients)] if any(HIDDEN in line.cells for line in lines) else []
    notes += [YEARS_ARE_SHIFTED] if any(variable == "study_year" for variable, _, _ in keys) else []
    return Table(
        f"table-one-{slug(cohort)}",
        f"Patients of the cohort {results.cohort_words(cohort)}: mean ± standard deviation, median (quartiles); or "
        "number, share",
        tuple(heads),
        tuple(lines),
        " ".join(notes),
        first=FIRST_ROWS,
    )


def _columns_by_target(rows: pl.DataFrame) -> dict[str, list[str]]:
    """The columns with labels of a target, in order, by target."""
    found: dict[str, list[str]] = {}
    mine = rows.filter(pl.col("target").fill_null("") != "").sort("column_order")
    for target, column in mine.select("target", "column").unique(maintain_order=True).iter_rows():
        found.setdefault(target, []).append(column)
    return found


def cell_of(row: dict[str, Any] | None) -> Cell:
    """One cell of Table 1: a dash if the level does not occur, 'hidden' if it must not be printed."""
    if row is None:
        return Cell("–")
    if row["hidden"] and row["mean"] is None:  # A mean may be printed although its count is hidden.
        return HIDDEN
    if row["mean"] is not None:
        text = number(row["mean"], 1) + (f" ± {number(row['deviation'], 1)}" if row["deviation"] is not None else "")
        quarters = ""
        if row["median"] is not None and row["quarter"] is not None and row["three_quarters"] is not None:
            quarters = f"{number(row['median'], 1)} ({number(row['quarter'], 1)} to {number(row['three_quarters'], 1)})"
        return Cell(text, quarters, row["mean"])
    share = f"{number(row['share'], 1, percent=True)}" if row["share"] is not None else ""
    return Cell(f"{row['patients']:,}", share, float(row["patients"]))
