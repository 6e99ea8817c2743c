"""all_predictions: held-out and validation predictions of every experiment, long; `predictions` is a view of it."""

import dataframely as dy

from xray_mining.records.cohort_members import SPLITS
from xray_mining.records.record import Record, choice, count, key, number, text

LEVELS = ("image", "study", "patient")


class Predictions(Record):
    """Unique on everything from study to unit_key but model_kind."""

    table = "all_predictions"
    home = "results"
    question = "one prediction of one experiment for one unit, under one seed and rotation, of any role and variant"

    study = text("the study", primary_key=True)
    experiment = text("the experiment", primary_key=True)
    experiment_digest = text("digest of options, cohort, features, weights and versions", primary_key=True)
    model_kind = text("kind of the model: the name of its file in `models/kinds`")
    cohort_digest = text("the cohort", primary_key=True)
    target = text("what is predicted", primary_key=True)
    class_ = dy.String(alias="class", primary_key=True, description="whose probability this is; empty for a number")
    seed = count("seed of the fit; -1 where chance plays no part", min=-1)
    fold = count("the rotation: the fold that was tested", min=-1)
    split = choice("role of the unit in this rotation", SPLITS, primary_key=True)
    variant = text("how the images were changed before predicting; empty for unchanged ones", primary_key=True)
    level = choice("what the model natively predicts", LEVELS)
    unit_key = key("the image, study or patient", primary_key=True)
    patient_key = key("the patient")
    truth = number("the target's value; 0 or 1 for a class; null is not scored")
    value = number("the prediction: in the target's unit, or the probability of the class", nullable=False)
    value_calibrated = number("the prediction after calibration on validation data, where that was shown to help")
    spread = number("the model's own standard deviation, where it gives one", min=0)
    low = number("lower end of the model's own interval")
    high = number("upper end of the model's own interval")
