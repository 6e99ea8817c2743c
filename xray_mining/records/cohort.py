"""A frozen cohort as every later stage reads it: members, folds, targets and where they came from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from xray_mining.errors import UserError, unknown_name
from xray_mining.records.cohort_members import CohortMembers
from xray_mining.records.cohort_targets import CohortTargets
from xray_mining.workspace import Workspace, write_json

FROZEN_FORMAT = 3
"""Increased when cohort.json gets a new field, so that studies freeze their cohorts again."""

KEY_COLUMNS = ("image_key", "unit_key")
"""Columns that name a row where tables have a column for each class: no class may have one of these names."""


@dataclass(frozen=True, slots=True)
class Target:
    """One target of a cohort, as the `-- target:` line of its header states it."""

    name: str
    kind: str
    """The name of its file in catalog/targets: number, binary, group, ordinal, labels."""
    unit: str = ""
    positive: str = ""
    """The label that counts as 1, for a binary target."""
    classes: tuple[str, ...] = ()
    """All labels or levels in order; of a binary target (other, positive); empty for a number."""
    made_of: tuple[str, ...] = ()
    """Columns of images that the target is computed from; 'findings' if it is a label from another source."""
    made_of_from: str = ""
    """Source of `made_of`: 'header' (a `-- made of:` line), 'values' (guessed), or empty (an earlier version)."""
    policy: str = ""
    """How unknown answers are treated, as 'uncertain=ignore unknown=zeros', if an image has one answer per class; empty
    if an image has one answer."""

    @property
    def numbers(self) -> tuple[float, ...]:
        """The classes as numbers: their values if all are numbers, else their positions.

        >>> Target("score", "ordinal", classes=("0", "1", "3")).numbers
        (0.0, 1.0, 3.0)
        >>> Target("severity", "ordinal", classes=("none", "mild")).numbers
        (0.0, 1.0)
        """
        try:
            return tuple(float(each) for each in self.classes)
        except ValueError:
            return tuple(float(place) for place in range(len(self.classes)))


def latest_digest(workspace: Workspace, name: str) -> str:
    """Digest of the last freeze of a cohort; empty if latest.json is missing or damaged.

    If the process is killed after writing the cohort's folder but before latest.json, the cohort is not frozen.
    """
    try:
        return str(
            json.loads((workspace.root / "cohorts" / name / "latest.json").read_text(encoding="utf-8"))["digest"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ""


@dataclass(frozen=True, slots=True)
class FlowStep:
    """Counts that remain after one CTE of the cohort's file."""

    step: str
    words: str
    images: int
    studies: int
    patients: int


@dataclass(frozen=True, slots=True)
class FrozenCohort:
    """A frozen cohort in cohorts/NAME/DIGEST/: cohort.json, cohort_members.parquet, cohort_targets.parquet.

    Members and targets never change.
    """

    name: str
    digest: str
    query: str
    """Name of the SQL file it was made from."""
    sql: str
    parameters: Mapping[str, Any]
    salt: str
    folds: int
    split_given: bool
    """Whether the SELECT returned the split; there is then one rotation only."""
    targets: tuple[Target, ...]
    flow: tuple[FlowStep, ...]
    catalog_digest: str
    store: str
    """The pixel store that has every member's picture; empty if that was not checked."""
    sentences: tuple[str, ...] = ()
    """Remarks for the reader, for example which cells could not be filled."""
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Targets of the header that no model can learn from these members, each with the reason."""
    folder: Path = field(default=Path(), compare=False)

    def __repr__(self) -> str:
        targets = ", ".join(each.name for each in self.targets) or "none"
        members = f"{self.flow[-1].images} images, " if self.flow else ""
        return f"FrozenCohort({self.name!r}, {members}targets: {targets}, digest {self.digest[:12]})"

    @classmethod
    def load(cls, workspace: Workspace, name: str, digest: str | None = None) -> "FrozenCohort":
        """Read a frozen cohort.

        Args:
            workspace: The workspace that holds it.
            name: The cohort's name.
            digest: Its digest; by default that of the last one frozen under this name.

        Raises:
            UserError: If there is no such cohort.
        """
        home = workspace.root / "cohorts"
        known = [path.name for path in home.iterdir() if path.is_dir()] if home.is_dir() else []
        if name not in known:
            raise unknown_name("cohort", name, known)
        if digest is None:
            digest = latest_digest(workspace, name)
            if not digest:
                raise UserError(f"cohort {name}: freezing did not finish; freeze it again with `cohort`")
        folder = workspace.cohort(name, digest)
        try:
            raw = json.loads((folder / "cohort.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"cohort {name}: digest {digest} is missing; freeze it again with `cohort`") from error
        for each in raw["targets"]:
            each["classes"] = tuple(each["classes"])
            each["made_of"] = tuple(each.get("made_of", ()))
        raw["targets"] = tuple(Target(**each) for each in raw["targets"])
        raw["flow"] = tuple(FlowStep(**each) for each in raw["flow"])
        raw["sentences"] = tuple(raw["sentences"])
        return cls(**raw, folder=folder)

    def save(self, workspace: Workspace, members: pl.DataFrame, targets: pl.DataFrame) -> "FrozenCohort":
        """Write the cohort's folder: members and targets once per digest, cohort.json each time.

        cohort.json can change without a change of members: the archive grew, another pixel store is in use, or the SQL
        text differs.
        """
        folder = workspace.cohort(self.name, self.digest)
        if not (folder / "cohort.json").is_file():
            CohortMembers.write(members, folder / "cohort_members.parquet")
            CohortTargets.write(targets, folder / "cohort_targets.parquet")
        raw = asdict(self)
        del raw["folder"]
        write_json(raw, folder / "cohort.json")
        write_json({"digest": self.digest}, folder.parent / "latest.json")
        return FrozenCohort.load(workspace, self.name, self.digest)

    def members(self) -> pl.DataFrame:
        """CohortMembers rows, sorted by image_key."""
        return CohortMembers.read(self.folder / "cohort_members.parquet").sort("image_key")

    def target(self, name: str) -> Target:
        """The named target."""
        for each in self.targets:
            if each.name == name:
                return each
        if name in self.unusable:
            raise UserError(
                f"cohort {self.name}: {self.unusable[name]}; select members who differ in it, or remove the "
                f"experiments on it"
            )
        raise unknown_name(f"cohort {self.name}, target", name, [each.name for each in self.targets])

    def rotations(self) -> int:
        """Number of rotations: its folds, or one if the split was given."""
        return 1 if self.split_given else self.folds

    def rotation(self, number: int, target: str) -> pl.DataFrame:
        """Members with their roles and truths in one rotation.

        Args:
            number: The rotation, from 0, as in `roles`.
            target: Name of a target of the cohort.

        Returns:
            A row per member (for several labels a row per member and label), sorted by image_key and label: the columns
            of `roles`, truth (the target's value, null if unknown), label.

        Raises:
            UserError: If the cohort has no such target, or if its members do not differ in it.
        """
        truths = self.answers(target).rename({"value": "truth"})
        return self.roles(number).join(truths, on="image_key", how="left").sort("image_key", "label")

    def roles(self, number: int) -> pl.DataFrame:
        """Members with their roles in one rotation.

        Rotation i tests on fold i, validates on fold i + 1 and trains on the other folds.

        Args:
            number: The rotation, from 0.

        Returns:
            A row per member, sorted by image_key: image_key, patient_key, study_key, weight, role (train, validation,
            test).
        """
        fold = pl.col("fold")
        if self.split_given:
            role = pl.col("split")
        else:
            role = (
                pl.when(fold == number % self.folds)
                .then(pl.lit("test"))
                .when(fold == (number + 1) % self.folds)
                .then(pl.lit("validation"))
                .otherwise(pl.lit("train"))
            )
        return self.members().select("image_key", "patient_key", "study_key", "weight", role.alias("role"))

    def answers(self, target: str) -> pl.DataFrame:
        """Rows of CohortTargets of one target: image_key, value, label.

        Raises:
            UserError: If the cohort has no such target, or if its members do not differ in it.
        """
        rows = CohortTargets.read(self.folder / "cohort_targets.parquet")
        return rows.filter(target=self.target(target).name).select("image_key", "value", "label")
