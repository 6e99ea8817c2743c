"""One scikit-learn model for each of several labels, on the same table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xray_mining.models.baselines import Learned, Table
from xray_mining.models.targets import Array, Lesson


@dataclass(frozen=True, slots=True)
class LabelPredictor:
    """Fitted predictors of labels, each of which says the probability that its label is true."""

    labels: tuple[str, ...]
    each: tuple[Any, ...]
    """A pipeline, or a number: the share of a label that could not be learned."""

    def predict_proba(self, matrix: Array) -> Array:
        """(n, labels) probabilities."""
        said = [
            np.full(len(matrix), one) if isinstance(one, float) else one.predict_proba(matrix)[:, 1]
            for one in self.each
        ]
        return np.stack(said, axis=1)


@dataclass(frozen=True, slots=True)
class LabelTables:
    """A lesson whose truths are (n, labels), with nan where an answer is unknown."""

    lesson: Lesson
    labels: Sequence[str]

    def of(self, place: int) -> Table:
        """The rows with a known answer for one label, as a table of two classes."""
        lesson, truths = self.lesson, self.lesson.truths[:, place]
        known = np.isfinite(truths)
        return Table(lesson.matrix[known], truths[known], lesson.patients[known], lesson.weights[known], 2)

    def lacking(self) -> str:
        """Why no label can be learned; empty where one can."""
        reasons = [self.of(place).lacking() for place in range(len(self.labels))]
        return "" if not all(reasons) else f"no label can be learned: {reasons[0]}"

    def learn(self, model: str, components: int = 0, seed: int = 0) -> Learned:
        """The named model for each label, with inner folds and hyperparameters of its own.

        A label that lacks a side gets its share. Rows whose answer is unknown get what the label's final model says:
        nothing scores or calibrates these.
        """
        truths = self.lesson.truths
        answers = np.zeros(truths.shape)
        predictors: list[Any] = []
        chosen: dict[str, float] = {}
        losses = []
        for place, label in enumerate(self.labels):
            table = self.of(place)
            if table.lacking():
                share = float(np.average(table.truths, weights=table.shares)) if len(table.truths) else 0.5
                predictors.append(share)
                answers[:, place] = share
                continue
            learned = table.learn(model, components, seed)
            known = np.isfinite(truths[:, place])
            answers[known, place] = learned.out_of_fold[:, 1]
            if not known.all():
                answers[~known, place] = learned.values(self.lesson.matrix[~known])[:, 1]
            predictors.append(learned.predictor)
            losses.append(learned.loss)
            chosen |= {f"{label}: {name}": value for name, value in learned.chosen.items()}
        return Learned(LabelPredictor(tuple(self.labels), tuple(predictors)), answers, chosen, float(np.mean(losses)))
