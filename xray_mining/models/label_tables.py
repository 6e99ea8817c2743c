"""One scikit-learn model for each of several labels, on the same table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xray_mining.models.answers import Classes
from xray_mining.models.baselines import Learned, Table
from xray_mining.models.targets import Array, Lesson


@dataclass(frozen=True, slots=True)
class LabelPredictor:
    """One fitted predictor for each label, which gives the probability that the label is true."""

    labels: tuple[str, ...]
    each: tuple[Any, ...]
    """A pipeline, or for a label that could not be learned a number: its share in the training data."""

    def predict_proba(self, matrix: Array) -> Array:
        """(n, labels) probabilities."""
        said = [
            np.full(len(matrix), one) if isinstance(one, float) else one.predict_proba(matrix)[:, 1]
            for one in self.each
        ]
        return np.stack(said, axis=1)


@dataclass(frozen=True, slots=True)
class LabelTables:
    """Training data whose truths are (n, labels), with nan for unknown answers."""

    lesson: Lesson
    labels: Sequence[str]

    def of(self, place: int) -> Table:
        """The rows with a known answer for one label, as a table of two classes."""
        lesson, truths = self.lesson, self.lesson.truths[:, place]
        known = np.isfinite(truths)
        return Table(lesson.matrix[known], truths[known], lesson.patients[known], lesson.weights[known], Classes(2))

    def lacking(self) -> str:
        """Why no label can be learned; an empty text if one can."""
        reasons = [self.of(place).lacking() for place in range(len(self.labels))]
        return "" if not all(reasons) else f"no label can be learned: {reasons[0]}"

    def learn(self, model: str, components: int = 0, seed: int = 0) -> Learned:
        """Fit the named model for each label, with separate inner folds and hyperparameters.

        A label with one answer only gets a constant, its share. Rows with an unknown answer get the prediction of the
        label's final model; they are never scored or used for calibration.
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
