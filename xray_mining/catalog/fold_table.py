"""Numbers of a cohort's patients in each fold, by sex, age and site."""

from dataclasses import dataclass

import polars as pl

from xray_mining.catalog.checks import with_members
from xray_mining.catalog.connection import connect
from xray_mining.catalog.overview import without_few
from xray_mining.catalog.query import run_file
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.small_counts import LEAST_PATIENTS
from xray_mining.workspace import Workspace

LEVELS = 8
"""If there are more sites, only those with most patients are listed."""


@dataclass(frozen=True, slots=True)
class FoldTable:
    """Numbers of patients by fold, or by the split that the cohort's SELECT gave."""

    columns: tuple[str, ...]
    """The folds, or the splits."""
    rows: tuple[tuple[str, tuple[int | None, ...]], ...]
    """Label of each row, and its patients in each column; None if the number is hidden."""
    sentences: tuple[str, ...]

    def lines(self) -> list[str]:
        """The table as lines of text."""
        width = max(len(words) for words, _ in self.rows)
        wide = max(8, *(len(name) + 1 for name in self.columns))
        head = "".join(f"{name:>{wide}}" for name in self.columns)
        body = [
            f"  {words:<{width}}" + "".join(f"{'hidden' if each is None else f'{each:,}':>{wide}}" for each in counts)
            for words, counts in self.rows
        ]
        return [f"  {'':<{width}}{head}", *body, *self.sentences]


def fold_table(workspace: Workspace, cohort: FrozenCohort, least_patients: int = LEAST_PATIENTS) -> FoldTable:
    """Patients of each fold by sex, decade of age and site; a patient with images in two decades counts in both."""
    with connect(workspace, results=False) as con:
        with_members(con, cohort.members())
        counted = run_file(con, "reports/members_by_fold", {"by_split": cohort.split_given})
    columns = [name for name in ("train", "validation", "test") if name in set(counted["fold"])]
    columns += sorted(set(counted["fold"]) - set(columns), key=lambda fold: (len(fold), fold))
    hidden = without_few(counted, ("variable", "level", "fold"), ("variable", "fold"), least_patients)
    cells = {(row["variable"], row["level"], row["fold"]): row["patients"] for row in hidden.iter_rows(named=True)}
    rows, sentences = [], []
    for variable in counted["variable"].unique(maintain_order=True):
        frame = counted.filter(pl.col("variable") == variable)
        levels = frame["level"].unique(maintain_order=True).to_list()
        if len(levels) > LEVELS and variable == "site":
            most = (
                frame.group_by("level")
                .agg(pl.col("patients").sum())
                .sort("patients", "level", descending=[True, False])
            )
            sentences.append(f"{variable}: {LEVELS} of {len(levels)} are listed, those with most patients")
            levels = most["level"].head(LEVELS).to_list()
        for level in levels:
            words = variable if variable == "patients" else f"{variable} {level}"
            rows.append((words, tuple(cells.get((variable, level, fold), 0) for fold in columns)))
    if any(each is None for _, counts in rows for each in counts):
        sentences.append(
            f"hidden: fewer than {least_patients} patients, or a number from which such a one could be worked out"
        )
    kind = "" if cohort.split_given else "fold "
    return FoldTable(tuple(f"{kind}{name}" for name in columns), tuple(rows), tuple(sentences))
