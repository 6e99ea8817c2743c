"""Kinds of model that cannot be applied to a picture, and why."""

from xray_mining.errors import UserError
from xray_mining.models.applying.kinds import Applied, Experiment, Means, applies


@applies("centre")
def centre(experiment: Experiment, means: Means) -> dict[str, Applied]:
    """The centre looks at nothing."""
    raise UserError(
        f"{experiment.name}: is the null model that says the same of everybody, without a look at the picture; there "
        f"is nothing to apply: name a model that reads pictures"
    )


@applies("metadata")
def metadata(experiment: Experiment, means: Means) -> dict[str, Applied]:
    """The metadata null reads the catalog."""
    raise UserError(
        f"{experiment.name}: reads columns of the catalog (sex, view, maker, year, …), which a picture alone does not "
        f"have, and no pixels; name a model that reads pictures"
    )


@applies("oracle")
def oracle(experiment: Experiment, means: Means) -> dict[str, Applied]:
    """The oracle reads the phantom's truth."""
    raise UserError(
        f"{experiment.name}: reads the phantom's true anatomy from the catalog, which no picture states; name a model "
        f"that reads pictures"
    )
