"""One experiment of a study on the members of its cohort: the data that every kind of model gets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol

import polars as pl

from xray_mining.models.kind import Chosen, Inputs, ModelKind
from xray_mining.models.kinds import kind_of
from xray_mining.models.options import DesignOptions, EmbeddingOptions, Options, shown_options
from xray_mining.models.targets import TARGETS
from xray_mining.pixels.variants import VARIANTS
from xray_mining.records.cohort import FrozenCohort
from xray_mining.workspace import Workspace, digest_of_frame, versions

if TYPE_CHECKING:
    import numpy as np

    from xray_mining.catalog.options import CohortOptions
    from xray_mining.features.options import FeatureOptions

# Increase it when a change in fitting code changes predictions; older experiments are then fitted again.
_VERSION = 6


class StudyParts(Protocol):
    """The parts of a study file that an experiment needs."""

    @property
    def study(self) -> str:
        """Name of the study."""
        ...

    @property
    def experiments(self) -> Mapping[str, Options]:
        """Its experiments, without the added null models."""
        ...

    @property
    def features(self) -> "Mapping[str, FeatureOptions]":
        """Its feature sets."""
        ...

    @property
    def embeddings(self) -> Mapping[str, EmbeddingOptions]:
        """Its embedding sets."""
        ...

    @property
    def cohorts(self) -> "Mapping[str, CohortOptions]":
        """Options of its cohorts."""
        ...

    @property
    def design(self) -> DesignOptions:
        """Rotations and seeds."""
        ...

    def cohort_name(self, key: str) -> str:
        """Name of one of its cohorts in the workspace."""
        ...


@dataclass(slots=True)
class Members:
    """Data on a frozen cohort's members, read once for all experiments on them."""

    workspace: Workspace
    cohort: FrozenCohort
    _keys: list[str] = field(default_factory=list)
    _pixels: str = ""
    _rows: dict[str, pl.DataFrame] = field(default_factory=dict)

    def keys(self) -> list[str]:
        """image_key of every member, in the order of the rows of every rotation."""
        self._keys = self._keys or self.cohort.members()["image_key"].to_list()
        return self._keys

    def catalog_rows(self, report: str) -> pl.DataFrame:
        """Rows of sql/REPORT.sql of all members."""
        if report not in self._rows:
            from xray_mining.catalog.query import select

            self._rows[report] = select(self.workspace, report, image_keys=self.keys())
        return self._rows[report]

    def pixels_digest(self) -> str:
        """Digest of the members' pixel digests, which change if an archive with changed pictures is ingested again."""
        if not self._pixels:
            from xray_mining.sets.pictures import Pictures

            self._pixels = digest_of_frame(Pictures.open(self.workspace).frame(self.keys()))
        return self._pixels


@dataclass(slots=True)
class Task(Generic[Chosen]):
    """One experiment on the members of its cohort."""

    workspace: Workspace
    study: StudyParts
    name: str
    options: Chosen
    experiments: Mapping[str, Options]
    """All experiments of the study, with the null models."""
    members: Members
    _matrix: "np.ndarray | None" = None
    _inputs: Inputs | None = None

    @property
    def kind(self) -> ModelKind[Chosen]:
        """Its kind of model."""
        return kind_of(self.options)

    @property
    def title(self) -> str:
        """STUDY/NAME."""
        return f"{self.study.study}/{self.name}"

    @property
    def cohort(self) -> FrozenCohort:
        """Its cohort."""
        return self.members.cohort

    @property
    def folder(self) -> Path:
        """experiments/STUDY/NAME of the workspace."""
        return self.workspace.experiment(self.study.study, self.name)

    @property
    def store(self) -> str:
        """The pixel store of its cohort."""
        return self.cohort.store or self.workspace.settings.store or ""

    def keys(self) -> list[str]:
        """image_key of every member."""
        return self.members.keys()

    def matrix(self, make: "Callable[[], np.ndarray]") -> "np.ndarray":
        """The model's table of all members, (members, columns), made once for all rotations."""
        if self._matrix is None:
            self._matrix = make()
        return self._matrix

    def catalog_rows(self, report: str) -> pl.DataFrame:
        """Rows of sql/REPORT.sql of all members."""
        return self.members.catalog_rows(report)

    def of(self, other: str) -> "Task[Any]":
        """Another experiment of the study, on the same members."""
        return Task(self.workspace, self.study, other, self.experiments[other], self.experiments, self.members)

    def shown_options(self) -> dict[str, Any]:
        """Its options without private paths."""
        return shown_options(self.options)

    def inputs(self) -> Inputs:
        """The model's inputs, computed once. Raises UserError if an input, such as a weights file, is missing."""
        self._inputs = self._inputs or self.kind.inputs(self)
        return self._inputs

    def identity(self) -> dict[str, Any]:
        """Everything that determines the predictions, as JSON; its digest is the experiment's.

        Raises UserError if an input is missing.
        """
        target = self.cohort.target(self.options.target)
        found = {
            "version": _VERSION,
            "options": self.shown_options(),
            "cohort": self.cohort.digest,
            "target": [target.name, target.kind, target.positive, list(target.classes)],
            "inputs": dict(self.inputs().digests),
            "versions": {key: versions().get(key, "") for key in self.kind.versions},
        }
        if version := TARGETS.find(target.kind).version:
            found["target_version"] = version
        if self.kind.predicts_changed:
            found["variants"] = [self.study.design.changed_images, sorted(VARIANTS)]
        return found

    def parts(self) -> list[tuple[int, int]]:
        """Rotation and seed of every fit that the design asks for."""
        rotations = self.cohort.rotations() if self.study.design.rotations == "all" else 1
        return [(number, seed) for number in range(rotations) for seed in self.kind.seeds(self.study.design)]

    def part(self, number: int, seed: int) -> Path:
        """The file with the predictions of a fit."""
        return self.folder / "predictions" / f"rotation{number}-seed{seed}.parquet"
