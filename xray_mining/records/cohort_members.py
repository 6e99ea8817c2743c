"""cohort_members: the radiographs of a frozen cohort, with their folds."""

from xray_mining.records.record import Record, choice, count, key, number, text

SPLITS = ("train", "validation", "test")


class CohortMembers(Record):
    """Written once, into cohorts/NAME/DIGEST/; never changed."""

    table = "cohort_members"
    home = "results"
    question = "one radiograph of one frozen cohort"

    cohort = text("the cohort's name", primary_key=True)
    cohort_digest = text("digest of members, folds, weights and targets", primary_key=True)
    image_key = key("the radiograph", primary_key=True)
    study_key = key("its study")
    patient_key = key("its patient")
    fold = count("fold, from the digest of salt and patient; -1 if the SELECT gave the split", min=-1)
    split = choice("role under rotation 0, the hold-out", SPLITS)
    weight = number("weight in training and in means", nullable=False, min=0)
