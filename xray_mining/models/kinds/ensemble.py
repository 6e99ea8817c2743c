"""Ensembles: their members' fits of the same rotation, with the weights that its validation patients gave."""

from dataclasses import dataclass

import numpy as np

from xray_mining.errors import UserError
from xray_mining.ingest.options import GreyOptions
from xray_mining.models.applying.kinds import Applied, Array, Experiment, Means, Pictures, applies, fits_of
from xray_mining.models.freshness import digest_of_predictions
from xray_mining.records.cohort import Target


@dataclass(frozen=True, slots=True)
class _Mixture:
    shares: tuple[tuple[float, tuple[Applied, ...]], ...]
    """Of each member its weight and its fits of the rotation, one a seed."""

    @property
    def target(self) -> Target:
        """That of its members."""
        return self.shares[0][1][0].target

    @property
    def grey(self) -> GreyOptions:
        """That of its members: they share a cohort, and so a pixel store."""
        return self.shares[0][1][0].grey

    @property
    def licences(self) -> tuple[str, ...]:
        """Of all members that have a share."""
        return tuple(sorted({licence for _, fits in self.shares for each in fits for licence in each.licences}))

    def of(self, pictures: Pictures) -> tuple[Array, Array | None]:
        """The weighted mean over members of the mean over their seeds; no spread of its own."""
        means = [np.mean([each.of(pictures)[0] for each in fits], axis=0) for _, fits in self.shares]
        weights = np.array([weight for weight, _ in self.shares])
        return np.tensordot(weights, np.stack(means), axes=1), None


@applies("ensemble")
def ensembles(experiment: Experiment, means: Means) -> dict[str, Applied]:
    """One mixture a rotation, of the members as it was trained with them; members without a share are not asked."""
    fits = experiment.notes.get("fits") or {}
    members: dict[str, dict[str, Applied]] = {}
    found: dict[str, Applied] = {}
    for fit in experiment.fits:
        weights = (fits.get(fit) or {}).get("weights")
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
                raise UserError(f"{experiment.name}: its member '{name}' has no fit of {rotation}; train both again")
            shares.append((float(weight), mine))
        found[fit] = _Mixture(tuple(shares))
    return found


def _fits_of_member(experiment: Experiment, name: str, means: Means) -> dict[str, Applied]:
    """The fits of a member; UserError where it is not the one whose predictions gave the weights."""
    member = Experiment.at(experiment.folder.parent / name, f"{experiment.name}, member {name}")
    if member is None:
        raise UserError(
            f"{experiment.name}: its member '{name}' is not beside it; apply an ensemble where its study was trained"
        )
    then = (experiment.notes.get("inputs") or {}).get(f"experiments/{name}")
    if then != digest_of_predictions(member.folder, str(member.notes.get("digest"))):
        raise UserError(
            f"{experiment.name}: its member '{name}' was trained again since, and the ensemble's weights are of the "
            f"earlier one; train the ensemble again"
        )
    return fits_of(member, means)
