"""Rows of the catalog that the metadata null and the oracle read in place of pictures."""

from typing import TYPE_CHECKING

from xray_mining.errors import UserError

if TYPE_CHECKING:
    from xray_mining.records.cohort import Target

METADATA = "reports/metadata_of_images"
"""The query for the metadata of each image."""
TRUTHS = "reports/truths_of_images"
"""The query for the phantom's true findings of each image."""

_COMPUTED_FROM = {
    "study_year": {"study_day"},
    "aspect": {"rows", "columns"},
    "manufacturer_model_name": {"manufacturer"},
}
"""Columns that are computed from other columns or imply them; they are left out together with these."""


def left_out_of(target: "Target") -> tuple[str, ...]:
    """Columns of METADATA that the target is made of, sorted; a model must not read them, because they are the answer.

    UserError if an earlier version froze the cohort, because it did not record these columns.
    """
    if not target.made_of_from:
        raise UserError(
            f"target {target.name}: an earlier version froze its cohort without what it is made of; freeze the cohort "
            f"again with `xray-mining cohort`"
        )
    made_of = set(target.made_of)
    return tuple(sorted(made_of | {name for name, others in _COMPUTED_FROM.items() if others & made_of}))
