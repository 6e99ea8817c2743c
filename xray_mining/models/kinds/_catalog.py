"""What models read of the catalog in place of pictures, shared by the metadata null and the oracle."""

from typing import TYPE_CHECKING

from xray_mining.errors import UserError

if TYPE_CHECKING:
    from xray_mining.records.cohort import Target

METADATA = "reports/metadata_of_images"
"""The query with what the catalog says of each image."""
TRUTHS = "reports/truths_of_images"
"""The query with the phantom's true findings of each image."""

_TOLD_BY = {
    "study_year": {"study_day"},
    "aspect": {"rows", "columns"},
    "manufacturer_model_name": {"manufacturer"},
}
"""Columns that are computed from others, or name them: they go where those go."""


def left_out_of(target: "Target") -> tuple[str, ...]:
    """Columns of METADATA that the target is made of, sorted: with them a model would read the answer.

    UserError where an earlier version froze the cohort, which kept no word of it.
    """
    if not target.made_of_from:
        raise UserError(
            f"target {target.name}: an earlier version froze its cohort without what it is made of; freeze the cohort "
            f"again with `xray-mining cohort`"
        )
    made_of = set(target.made_of)
    return tuple(sorted(made_of | {name for name, others in _TOLD_BY.items() if others & made_of}))
