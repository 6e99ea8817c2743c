"""Networks that were trained here: models/rotation<r>-seed<s>/model.pt."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xray_mining.ingest.options import GreyOptions
from xray_mining.models.applying.kinds import Applied, Array, Experiment, Means, Pictures, applies, kept_file, reads
from xray_mining.records.cohort import Target

if TYPE_CHECKING:
    from xray_mining.networks.prediction import SavedModel


@dataclass(frozen=True, slots=True)
class _Network:
    saved: "SavedModel"
    target: Target
    grey: GreyOptions
    licences: tuple[str, ...]

    def of(self, pictures: Pictures) -> tuple[Array, Array | None]:
        """As SavedModel.predict."""
        return self.saved.predict(pictures.values)


@reads(".pt")
def network(path: Path, means: Means) -> Applied:
    """The network in a file. No code in it is run."""
    from xray_mining.networks.prediction import load_model

    saved = load_model(path)
    licence = str(saved.facts.get("licence") or "")
    grey = GreyOptions.model_validate(dict(saved.facts["grey"]))
    return _Network(saved, saved.target, grey, (licence,) if licence else ())


@applies("network")
def networks(experiment: Experiment, means: Means) -> dict[str, Applied]:
    """One network a rotation and seed."""
    home = experiment.folder / "models"
    return {fit: network(kept_file(experiment, home / fit / "model.pt"), means) for fit in experiment.fits}
