"""cohort_targets: what is to be predicted for each member."""

from xray_mining.records.record import Record, key, number, text


class CohortTargets(Record):
    """Long: a cohort may have several targets."""

    table = "cohort_targets"
    home = "results"
    question = "one target of one member of a frozen cohort"

    cohort_digest = text("the cohort", primary_key=True)
    image_key = key("the radiograph", primary_key=True)
    target = text("name of the target, as age_years or group", primary_key=True)
    value = number("the number; for a binary target 1 for the positive label, 0 for the other")
    label = text("the label of a group", nullable=True)
