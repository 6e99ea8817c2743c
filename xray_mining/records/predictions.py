"""all_predictions: test and validation predictions of all experiments, long format; `predictions` is a view of it."""

import dataframely as dy

from xray_mining.records.cohort_members import SPLITS
from xray_mining.records.record import Record, choice, count, key, number, text

LEVELS = ("image", "study", "patient")


class Predictions(Record):
    """Unique by all columns from study to unit_key, except model_kind."""

    table = "all_predictions"
    home = "results"
    question = "one prediction of one experiment for one unit, under one seed and rotation, of any role and variant"

    study = text("the study", primary_key=True)
    experiment = text("the experiment", primary_key=True)
    experiment_digest = text("digest of options, cohort, features, weights and versions", primary_key=True)
    model_kind = text("kind of the model: the name of its file in `models/kinds`")
    cohort_digest = text("the cohort", primary_key=True)
    target = text("what is predicted", primary_key=True)
    class_ = dy.String(alias="class", primary_key=True, description="class of the probability; empty for a number")
    seed = count("seed of the fit; -1 if the fit uses no random numbers", min=-1)
    fold = count("the rotation: the fold that was tested", min=-1)
    split = choice("role of the unit in this rotation", SPLITS, primary_key=True)
    variant = text("how the images were changed before prediction; empty for unchanged ones", primary_key=True)
    level = choice("unit that the model predicts for", LEVELS)
    unit_key = key("the image, study or patient", primary_key=True)
    patient_key = key("the patient")
    truth = number("the target's value; 0 or 1 for a class; rows with null are not scored")
    value = number("the prediction: in the target's unit, or the probability of the class", nullable=False)
    value_calibrated = number("the prediction after calibration on validation data, if that improved it")
    spread = number("the model's own standard deviation, if it gives one", min=0)
    low = number("lower end of the model's own interval")
    high = number("upper end of the model's own interval")
