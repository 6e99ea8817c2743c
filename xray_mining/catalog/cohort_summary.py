"""Summary of a frozen cohort for people and, as JSON, for programs."""

from dataclasses import dataclass
from pathlib import Path

from xray_mining.catalog.fold_table import FoldTable, fold_table
from xray_mining.records.cohort import FlowStep, FrozenCohort
from xray_mining.records.cohort_members import SPLITS
from xray_mining.workspace import Workspace


@dataclass(frozen=True, slots=True)
class CohortSummary:
    """Summary of a frozen cohort."""

    cohort: str
    digest: str
    images: int
    studies: int
    patients: int
    folds: int
    splits: dict[str, int]
    targets: tuple[str, ...]
    flow: tuple[FlowStep, ...]
    sentences: tuple[str, ...]
    by_fold: FoldTable | None = None
    """Patients of each fold by sex, age and site, if requested."""
    diagram: str = ""
    """Path of the flow diagram, if one was drawn."""

    def lines(self) -> list[str]:
        """The summary for people: the flow, then what was frozen."""
        width = max(len(step.words) for step in self.flow)
        counts = [
            f"  {step.words:<{width}}  {step.images:>11,} images  {step.studies:>11,} studies  "
            f"{step.patients:>11,} patients"
            for step in self.flow
        ]
        splits = ", ".join(f"{count:,} {split}" for split, count in self.splits.items())
        drawn = [f"flow diagram: {self.diagram}"] if self.diagram else []
        return [
            *counts,
            *(self.by_fold.lines() if self.by_fold else []),
            *self.sentences,
            *drawn,
            f"cohort {self.cohort} ({self.digest[:12]}): {self.images:,} images of {self.patients:,} patients; "
            f"{splits}; "
            f"targets {', '.join(self.targets) or 'none'}",
        ]


def summary_of(cohort: FrozenCohort, workspace: Workspace | None = None, diagram: Path | None = None) -> CohortSummary:
    """Summary of a frozen cohort; with the `workspace` it includes a table of patients by fold."""
    members = cohort.members()
    counts = dict(members["split"].value_counts().iter_rows())
    return CohortSummary(
        cohort.name,
        cohort.digest,
        members.height,
        members["study_key"].n_unique(),
        members["patient_key"].n_unique(),
        cohort.folds,
        {split: counts.get(split, 0) for split in SPLITS},
        tuple(each.name for each in cohort.targets),
        cohort.flow,
        cohort.sentences,
        fold_table(workspace, cohort) if workspace else None,
        str(diagram) if diagram else "",
    )
