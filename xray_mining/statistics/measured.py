"""Measured coverage of intervals that held the truth in fewer than 93 or more than 97 of 100 simulated studies.

Estimates name the reason in `caution`. The page and docs/statistics.md take their numbers from here, so that they
agree; the simulations are in tests/statistics.
"""

from collections.abc import Mapping
from dataclasses import dataclass

FEW_IN_CLASS = "few patients in a class"
NEAR_END = "the area is near its end"
UNEQUAL = "a few patients have most of the images"
NOT_AGAIN = (
    "folds share training patients, and no patient is predicted again by another fold's model: the variance is "
    "multiplied by a constant"
)


@dataclass(frozen=True, slots=True)
class Measured:
    """How many of 100 intervals held the truth in simulations: least and most over several kinds of study."""

    least: float
    most: float
    studies: str = "ridge, logistic and boosted models, five folds, 100 to 1,000 patients"
    """What was simulated."""

    @property
    def words(self) -> str:
        """For example 'in simulations 88 to 93 of 100 such intervals contained the true value, and 95 should'."""
        share = f"{self.least:g}" if self.least == self.most else f"{self.least:g} to {self.most:g}"
        return f"in simulations {share} of 100 such intervals contained the true value, and 95 should"


MEASURED: Mapping[str, Measured] = {
    FEW_IN_CLASS: Measured(
        70.7,
        99,
        "areas of 20 and 500 patients; means over five folds with 5 to 30 patients of a class; mean areas of 1, 3 and "
        "14 labels with 2 to 10 patients of each in one test set (70.7 to 96.3), or 2 to 5 in each of five folds "
        "(93 to 99)",
    ),
    NEAR_END: Measured(92.2, 92.2, "an area of 0.99, 100 patients of each class"),
    UNEQUAL: Measured(89.8, 92.5, "errors of 210 patients with 1 to 66 images"),
    NOT_AGAIN: Measured(85.2, 97.5, "logistic and ridge models of noise, 200 patients"),
}
"""By caution; cautions that no simulation measured are not listed."""


OVER_FOLDS: Mapping[str, Measured] = {
    "AUC": Measured(94.8, 99.5),
    "difference in AUC": Measured(93.5, 98.5),
    "average precision": Measured(94.5, 100),
    "Brier score": Measured(94.5, 99.5),
    "sensitivity": Measured(95.5, 98),
    "difference in sensitivity": Measured(94.2, 99),
    "specificity": Measured(95, 98.5),
    "difference in specificity": Measured(95.2, 99),
    "MAE": Measured(93, 99),
    "difference in MAE": Measured(93.5, 100),
    "RMSE": Measured(92.5, 98.5),
    "difference in RMSE": Measured(94.5, 99),
}
"""By figure: the least and the most in the tables of docs/statistics.md, without rows that have a caution."""


FALSE_ALARMS: Mapping[str, Measured] = {
    "two models": Measured(0, 7),
    "a group and the rest": Measured(2, 7.5),
}
"""How many of 100 p values were at most 0.05 although nothing differs: the least and the most in these tables."""


def false_alarms() -> str:
    """FALSE_ALARMS as text: '0 to 7 of 100 between two models, …'."""
    named = [f"{each.least:g} to {each.most:g} of 100 between {pair}" for pair, each in FALSE_ALARMS.items()]
    return ", ".join(named)


def outside() -> str:
    """The figures over folds outside 93 to 97, as text: 'AUC 95 to 98'."""
    named = [
        f"{name} {each.least:.0f} to {each.most:.0f}"
        for name, each in OVER_FOLDS.items()
        if each.least < 93 or each.most > 97
    ]
    return ", ".join(named)


def caution_words(caution: str) -> str:
    """A caution, with its measured coverage if there is one."""
    found = MEASURED.get(caution)
    return caution if found is None else f"{caution}: {found.words}"


def table() -> str:
    """The rows of the table in docs/statistics.md."""
    lines = ["| caution | simulated | of 100 intervals held the truth |", "|---|---|---|"]
    for caution, found in MEASURED.items():
        share = f"{found.least:g}" if found.least == found.most else f"{found.least:g} to {found.most:g}"
        lines.append(f"| {caution} | {found.studies} | {share} |")
    return "\n".join(lines)
