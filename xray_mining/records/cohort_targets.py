"""cohort_targets: what is to be predicted for each member."""

import dataframely as dy
import polars as pl

from xray_mining.records.record import Record, key, number, text


class CohortTargets(Record):
    """Long: a cohort may have several targets."""

    table = "cohort_targets"
    home = "results"
    question = "one target of one member of a frozen cohort; of several labels, one label of it"

    cohort_digest = text("the cohort")
    image_key = key("the radiograph")
    target = text("name of the target, as age_years or group")
    value = number(
        "the number; 1 or 0 for a binary target or one of several labels; else the class's position or level"
    )
    label = text(
        "text of the class or level; of several labels the name of the one that `value` is about", nullable=True
    )

    @dy.rule()
    def one_row_of_each_label(cls) -> pl.Expr:
        """Without several labels an image has one row of each target."""
        return pl.struct("cohort_digest", "image_key", "target", "label").is_unique()
