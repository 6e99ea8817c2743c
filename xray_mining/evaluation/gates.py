"""Checks of the cohorts and predictions that a number may rest on: leaks, sizes, what is missing."""

from typing import Any

import numpy as np
import polars as pl

from xray_mining.catalog.made_of import sentence as sentence_of
from xray_mining.catalog.order import undecided
from xray_mining.errors import CheckFailed, UserError
from xray_mining.evaluation.gather import Task, finding
from xray_mining.evaluation.options import EvaluationOptions
from xray_mining.records.cohort import FrozenCohort
from xray_mining.statistics.auc import FEW_IN_CLASS
from xray_mining.workspace import Workspace


def leakage_gate(workspace: Workspace, cohort: FrozenCohort) -> dict[str, Any]:
    """GATE003: the gate that stands before every fit, once more: nothing of a patient or exposure is on two sides."""
    from xray_mining.catalog.cohort import gate

    title = "the leakage gate: patients and exposures on two sides"
    try:
        unchecked = gate(workspace, cohort)
    except CheckFailed as error:
        return finding("GATE003", "error", "failed", title, f"{error}", offenders=1, section="flow", about=cohort.name)
    except UserError as error:
        return finding(
            "GATE003", "error", "skipped", title, f"{cohort.name}: {error}", section="flow", about=cohort.name
        )
    return finding(
        "GATE003",
        "error",
        "passed",
        title,
        " ".join([f"{cohort.name}: the gate found no offender.", *unchecked]),
        section="flow",
        about=cohort.name,
    )


def later_images(workspace: Workspace, cohort: FrozenCohort) -> dict[str, Any]:
    """COH001: whether something tells which of a patient's images is the later one, which stands for the patient."""
    title = "nothing tells which image of a patient is the later one"
    undated = undecided(workspace, cohort.members())
    if undated.height:
        sentence = (
            f"{cohort.name}: no day, follow-up number or age tells which image of {undated.height:,} patients is the "
            f"later one; where the latest is asked for, as in Table 1, the last in the order of the files is taken."
        )
        return finding(
            "COH001",
            "warning",
            "failed",
            title,
            sentence,
            rows=undated.head(10).to_dicts(),
            offenders=undated.height,
            section="flow",
            about=cohort.name,
        )
    sentence = f"{cohort.name}: a day, a follow-up number or an age tells it for every patient with several images."
    return finding("COH001", "warning", "passed", title, sentence, section="flow", about=cohort.name)


def leaks(cohort: FrozenCohort) -> list[dict[str, Any]]:
    """GATE001: no patient of the cohort may stand in two folds or two splits."""
    members = cohort.members()
    title = "patients in several folds"
    torn = (
        members.group_by("patient_key")
        .agg(pl.col("fold").n_unique().alias("folds"), pl.col("split").n_unique().alias("splits"))
        .filter((pl.col("folds") > 1) | (pl.col("splits") > 1))
        .sort("patient_key")
    )
    if torn.height:
        return [
            finding(
                "GATE001",
                "error",
                "failed",
                title,
                f"{cohort.name}: {torn.height:,} patients stand in two folds or splits, so test results flatter every "
                f"model; freeze the cohort again.",
                rows=torn.head(10).to_dicts(),
                offenders=torn.height,
                section="flow",
                about=cohort.name,
            )
        ]
    patients = members["patient_key"].n_unique()
    sentence = f"{cohort.name}: each of {patients:,} patients stands in one fold and one split."
    return [finding("GATE001", "error", "passed", title, sentence, section="flow", about=cohort.name)]


def predicted_leaks(task: Task) -> list[dict[str, Any]]:
    """GATE002: no patient may be tested and validated by the same fit."""
    title = "patients tested and validated by the same fit"
    tested = task.units.select("patient_key", "fold").unique()
    found = []
    # Without validation predictions there is nothing to look at: nothing is said of such an experiment.
    seen = [model for model in task.models.values() if model.validation.height]
    unseen = sorted(set(task.models) - {model.name for model in seen})
    for model in seen:
        both = (
            model.validation.select("patient_key", "fold").unique().join(tested, on=["patient_key", "fold"], how="semi")
        )
        if both.height:
            found.append(
                finding(
                    "GATE002",
                    "error",
                    "failed",
                    title,
                    f"{model.name}: {both.height:,} patients are tested and validated in the same rotation.",
                    rows=both.head(10).to_dicts(),
                    offenders=both.height,
                    about=model.name,
                )
            )
    if not found:
        outcome = "passed" if seen else "not_applicable"
        sentence = f"{task.name}: "
        if seen:
            sentence += f"in none of {len(seen)} experiments is a validation patient tested in the same rotation."
        if unseen:
            sentence += f"{' N' if seen else 'n'}o validation predictions to look at: {', '.join(unseen)}."
        found.append(finding("GATE002", "error", outcome, title, sentence))
    return found


def made_of(task: Task) -> dict[str, Any]:
    """MADE001: whether the cohort's header says what the target is made of, which the metadata null must not get."""
    title = "what the target is made of"
    if task.target.made_of_from == "header":
        sentence = f"{task.name}: its header says that it is made of {', '.join(task.target.made_of) or 'no column'}."
        return finding("MADE001", "warning", "passed", title, sentence, section="flow")
    found = sentence_of(task.cohort.name, task.target)
    return finding("MADE001", "warning", "failed", title, found, offenders=1, section="flow")


def sizes(task: Task, options: EvaluationOptions) -> list[dict[str, Any]]:
    """Whether there are enough test patients for the intervals to be believed."""
    title = "the number of test patients"
    if task.target.kind in ("binary", "group"):
        count = {
            name: len(np.unique(task.owner[task.labels == name])) for name in sorted(np.unique(task.labels).tolist())
        }
        missing = [name for name in task.target.classes if name not in count]
        few = [f"{name} ({number})" for name, number in count.items() if number < FEW_IN_CLASS]
        if missing:
            sentence = f"{task.name}: nobody in the test set is {', '.join(missing)}; areas of it cannot be computed."
            return [finding("SIZE001", "warning", "failed", title, sentence, offenders=len(missing))]
        if few:
            sentence = (
                f"{task.name}: fewer than {FEW_IN_CLASS} test patients in {', '.join(few)}; intervals of areas may not "
                f"cover what they say."
            )
            return [finding("SIZE001", "warning", "failed", title, sentence, offenders=len(few))]
        least = min(count.values())
    else:
        least = task.patients
        if least < FEW_IN_CLASS:
            sentence = f"{task.name}: {least} test patients; intervals of errors may not cover what they say."
            return [finding("SIZE001", "warning", "failed", title, sentence, offenders=1)]
    cell = options.least_patients
    sentence = f"{task.name}: {least:,} test patients in the smallest class; groups under {cell} are not counted."
    return [finding("SIZE001", "warning", "passed", title, sentence)]
