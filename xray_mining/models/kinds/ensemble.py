"""The kind `ensemble`: other experiments of the study, combined with weights from validation patients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from xray_mining.errors import UserError
from xray_mining.models.kind import Inputs, ModelKind
from xray_mining.models.notes import digest_of_predictions, read_notes
from xray_mining.models.options import Options

if TYPE_CHECKING:
    from xray_mining.ingest.options import GreyOptions
    from xray_mining.models.applied import Applied, Array, Experiment, Means, Pictures
    from xray_mining.models.fit import Fit, Fitted
    from xray_mining.models.task import Task
    from xray_mining.records.cohort import Target


class EnsembleOptions(Options):
    """Other experiments of the study, combined without using the test patients."""

    model: Literal["ensemble"]
    members: list[str] = Field(min_length=2, description="experiments with the same cohort and target")
    rule: Literal["mean", "best", "stack"] = Field(
        "mean", description="mean of all; the best on validation in each rotation; weights fitted to validation"
    )


class EnsembleKind(ModelKind[EnsembleOptions]):
    """Mean, best or stack of other experiments."""

    name = "ensemble"
    options = EnsembleOptions
    predicts_changed = True

    def members(self, options: EnsembleOptions) -> Sequence[str]:
        """The experiments that it combines."""
        return options.members

    def without(self, options: EnsembleOptions, absent: Sequence[str]) -> EnsembleOptions | str:
        """The ensemble of the remaining members, if at least two are left."""
        left = [member for member in options.members if member not in absent]
        if len(left) < 2:
            return "fewer than two of its members can run"
        return options.model_copy(update={"members": left})

    def chose_by_rotation(self, stated: Mapping[str, Any]) -> bool:
        """By rule best."""
        return stated.get("rule") == "best"

    def inputs(self, task: "Task[EnsembleOptions]") -> Inputs:
        """Digests of its members' predictions."""
        found: dict[str, str] = {}
        licences: dict[str, str] = {}
        for member in task.options.members:
            notes = _notes_of_member(task, member)
            found[f"experiments/{member}"] = digest_of_predictions(task.of(member).folder, notes["digest"])
            licences |= notes.get("licences") or {}
        return Inputs(found, licences)

    def fit(self, task: "Task[EnsembleOptions]", fit: "Fit") -> "tuple[Fitted, dict[str, Any]]":
        """Combine the members by the rule."""
        from xray_mining.models.ensemble import combine

        members = {member: _predictions_of(task, member, fit) for member in task.options.members}
        combined = combine(task.options.rule, members, fit)
        return combined.fitted, {"weights": combined.weights}

    def changed(self, task: "Task[EnsembleOptions]", fit: "Fit", keys: list[str], variant: str) -> "Fitted":
        """Combine the members' predictions of the changed images, with the weights from unchanged validation images."""
        from xray_mining.models.ensemble import combine, put_together

        names = task.options.members
        weights = combine(task.options.rule, {each: _predictions_of(task, each, fit) for each in names}, fit).weights
        return put_together({each: _predictions_of(task, each, fit, variant) for each in names}, weights)

    def applied(self, experiment: "Experiment", means: "Means") -> "dict[str, Applied]":
        """One mixture for each rotation, of the members with which it was trained; members of weight 0 are left out."""
        members: dict[str, dict[str, Applied]] = {}
        found: dict[str, Applied] = {}
        for fit in experiment.fits:
            weights = ((experiment.notes.get("fits") or {}).get(fit) or {}).get("weights")
            if not weights:
                raise UserError(f"{experiment.name}: experiment.json does not say the weights of {fit}; train it again")
            rotation = fit.partition("-")[0]
            shares = []
            for name, weight in weights.items():
                if not weight:
                    continue
                if name not in members:
                    members[name] = _fits_of_member(experiment, name, means)
                mine = tuple(each for other, each in members[name].items() if other.partition("-")[0] == rotation)
                if not mine:
                    raise UserError(
                        f"{experiment.name}: its member '{name}' has no fit of {rotation}; train both again"
                    )
                shares.append((float(weight), mine))
            found[fit] = _Mixture(tuple(shares))
        return found


def _notes_of_member(task: "Task[EnsembleOptions]", member: str) -> dict[str, Any]:
    """experiment.json of a member. UserError if the member has another task, or is not trained on this cohort."""
    other = task.of(member)
    if (other.options.cohort, other.options.target) != (task.options.cohort, task.options.target):
        raise UserError(
            f"experiments.{task.name}.members: '{member}' has another cohort or target; an ensemble's members "
            f"share both"
        )
    notes = read_notes(other.folder)
    if notes.get("cohort_digest") != task.cohort.digest:
        raise UserError(
            f"experiments.{task.name}: its member '{member}' is not trained on this cohort yet; run "
            f"`xray-mining train {other.title}` first"
        )
    return notes


def _predictions_of(task: "Task[EnsembleOptions]", member: str, fit: "Fit", variant: str = "") -> "Fitted":
    """A member's predictions in one rotation (for images changed as in `variant`), the mean over its seeds."""
    import polars as pl

    from xray_mining.models.rows import fitted_of
    from xray_mining.records.predictions import Predictions

    other = task.of(member)
    parts = sorted((other.folder / "predictions").glob(f"rotation{fit.number}-seed*.parquet"))
    if not parts:
        raise UserError(
            f"experiments.{task.name}: its member '{member}' has no predictions for rotation {fit.number}; run "
            f"`xray-mining train {other.title}` first"
        )
    return fitted_of(Predictions.read(parts).filter(pl.col("variant") == variant), fit)


@dataclass(frozen=True, slots=True)
class _Mixture:
    shares: "tuple[tuple[float, tuple[Applied, ...]], ...]"
    """Weight of each member, and its fits of the rotation, one for each seed."""

    @property
    def target(self) -> "Target":
        """The target of its members."""
        return self.shares[0][1][0].target

    @property
    def grey(self) -> "GreyOptions":
        """The grey options of its members, which share a cohort and so a pixel store."""
        return self.shares[0][1][0].grey

    @property
    def licences(self) -> tuple[str, ...]:
        """Licences of all members with a weight."""
        return tuple(sorted({licence for _, fits in self.shares for each in fits for licence in each.licences}))

    def of(self, pictures: "Pictures") -> "tuple[Array, Array | None]":
        """The weighted mean over members of the mean over their seeds; no spread of its own."""
        import numpy as np

        means = [np.mean([each.of(pictures)[0] for each in fits], axis=0) for _, fits in self.shares]
        weights = np.array([weight for weight, _ in self.shares])
        return np.tensordot(weights, np.stack(means), axes=1), None


def _fits_of_member(experiment: "Experiment", name: str, means: "Means") -> "dict[str, Applied]":
    """The fits of a member; UserError if the member was trained again after the weights were fitted."""
    from xray_mining.models.applied import Experiment, fits_of

    member = Experiment.at(experiment.folder.parent / name, f"{experiment.name}, member {name}")
    if member is None:
        raise UserError(
            f"{experiment.name}: its member '{name}' is missing beside it; apply an ensemble in its study's workspace"
        )
    then = (experiment.notes.get("inputs") or {}).get(f"experiments/{name}")
    if then != digest_of_predictions(member.folder, str(member.notes.get("digest"))):
        raise UserError(
            f"{experiment.name}: its member '{name}' was trained again after the ensemble's weights were fitted; train "
            f"the ensemble again"
        )
    return fits_of(member, means)


KIND = EnsembleKind()
