"""What the kinds null, baseline and frozen share as scikit-learn models. Heavy imports are in methods, as in theirs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from xray_mining.models.kind import Chosen, ModelKind

if TYPE_CHECKING:
    from xray_mining.models.applied import Applied, Experiment, FromFile, Means
    from xray_mining.models.fit import Fit, Fitted
    from xray_mining.models.kinds._tables import Sets
    from xray_mining.models.task import Task


class TableKind(ModelKind[Chosen]):
    """A scikit-learn model on a table of numbers."""

    def applied(self, experiment: "Experiment", means: "Means") -> "dict[str, Applied]":
        """One predictor for each rotation."""
        from xray_mining.models.kinds._tables import tables

        return tables(experiment, means)

    @property
    def files(self) -> "Mapping[str, FromFile]":
        """Files of scikit-learn models."""
        from xray_mining.models.kinds._tables import table

        return {".joblib": table}


class SetsKind(TableKind[Chosen]):
    """A scikit-learn model on the columns of several sets."""

    predicts_changed = True

    def read(self, task: "Task[Chosen]") -> "Sets":
        """The sets that the experiment reads."""
        raise NotImplementedError

    def changed(self, task: "Task[Chosen]", fit: "Fit", keys: list[str], variant: str) -> "Fitted":
        """Measure the changed pictures, and predict."""
        from xray_mining.models.kinds._tables import changed_table

        return changed_table(task, fit, keys, variant, self.read(task))
