"""The kind `reader`: answers of a second human reader, scored like a model; their agreement is a target for models."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from xray_mining.errors import UserError
from xray_mining.models.kind import Inputs, ModelKind, Role
from xray_mining.models.options import Options

if TYPE_CHECKING:
    import polars as pl

    from xray_mining.models.applied import Applied, Experiment, Means
    from xray_mining.models.fit import Fit, Fitted
    from xray_mining.models.task import Task
    from xray_mining.records.cohort import Target

ANSWERS = "reports/answers_of_images"
"""The query for the value of one finding for each image."""
LEAST_ALIKE = 20
"""If this many images have an answer, and each equals the truth, the answers are taken for the truths themselves."""


class ReaderOptions(Options):
    """Options of a second reader's answers."""

    model: Literal["reader"]
    finding: str = Field(description="name of the finding with the reader's answers, in the target's values")


class ReaderKind(ModelKind[ReaderOptions]):
    """The reader's answers are the predictions; nothing is fitted. Images without an answer are not predicted."""

    name = "reader"
    options = ReaderOptions
    role = Role.READER
    may_be_best = False
    calibrates = False
    versions = ("xray-mining",)

    def refuse(self, where: str, options: ReaderOptions, target: "Target") -> None:
        """UserError for a target with several labels, because a finding has one answer for each image."""
        from xray_mining.models.targets import TARGETS

        if not TARGETS.find(target.kind).one_answer:
            raise UserError(
                f"{where}: a reader's finding has one answer for each image, but target {target.name} is "
                f"{target.kind}; freeze a cohort with one of its labels as a binary target"
            )

    def inputs(self, task: "Task[ReaderOptions]") -> Inputs:
        """The reader's answers."""
        from xray_mining.workspace import digest_of_frame

        return Inputs({"answers": digest_of_frame(_answers(task))})

    def fit(self, task: "Task[ReaderOptions]", fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
        """The answers for validation and test images."""
        import numpy as np

        from xray_mining.models.fit import Fitted

        asked = fit.images.drop("truth", "label")
        answered = asked.join(_answers(task), on="image_key", how="left", maintain_order="left")
        truths = fit.kind.truths(answered, fit.target)
        both = fit.kind.known(truths) & fit.kind.known(fit.truths())
        if both.sum() >= LEAST_ALIKE and np.array_equal(truths[both], fit.truths()[both]):
            raise UserError(
                f"experiments.{task.name}: finding '{task.options.finding}' equals target {fit.target.name} for all "
                f"{both.sum():,} images with both, so the target is made of it; name the finding of another reader"
            )
        predicted = answered["role"].is_in(["validation", "test"]).to_numpy()
        known = np.flatnonzero(fit.kind.known(truths) & predicted)
        if not len(known):
            raise UserError(
                f"experiments.{task.name}: finding '{task.options.finding}' answers for no image of cohort "
                f"{task.cohort.name} in the values of target {fit.target.name}; link the reader's table, or name "
                f"another finding"
            )
        keys = answered["image_key"].to_list()
        return Fitted([keys[row] for row in known], fit.kind.certain(truths[known], fit.target)), {}

    def applied(self, experiment: "Experiment", means: "Means") -> "dict[str, Applied]":
        """Always refused, because the reader has not read other pictures."""
        raise UserError(
            f"{experiment.name}: has a reader's answers for the images of its cohort only; name a model that reads "
            f"pictures"
        )


def _answers(task: "Task[ReaderOptions]") -> "pl.DataFrame":
    """image_key, truth and label of each member with an answer of the reader, sorted by image_key."""
    from xray_mining.catalog.query import select

    return select(task.workspace, ANSWERS, image_keys=task.keys(), finding=task.options.finding)


KIND = ReaderKind()
