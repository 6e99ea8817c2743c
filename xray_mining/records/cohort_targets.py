"""cohort_targets: what is to be predicted for each member."""

import dataframely as dy
import polars as pl

from xray_mining.records.record import Record, key, number, text


class CohortTargets(Record):
    """Long format: a cohort may have several targets."""

    table = "cohort_targets"
    home = "results"
    question = "one target of one member of a frozen cohort; for a target of several labels, one of its labels"

    cohort_digest = text("the cohort")
    image_key = key("the radiograph")
    target = text("name of the target, as age_years or group")
    value = number(
        "the number; 1 or 0 for a binary target or one of several labels; else the class's position or level"
    )
    label = text(
        "text of the class or level; for a target of several labels, the label that `value` is about", nullable=True
    )

    @dy.rule()
    def one_row_of_each_label(cls) -> pl.Expr:
        """An image has one row per target, or one row per label of a target of several labels."""
        return pl.struct("cohort_digest", "image_key", "target", "label").is_unique()
