"""Limits: conclusions that the study does not permit."""

import polars as pl

from xray_mining.reporting.results import Results
from xray_mining.reporting.section import Block, Points, Section, Text

ORDER = 93


def applies(results: Results) -> bool:
    """Always."""
    return True


def build(results: Results) -> Section:
    """Sentences that follow from the design of the study, and the limitations that its authors state."""
    # Limits of every study.
    points = [
        "The study describes radiographs of this archive. It is not a medical device and must not be used for "
        "diagnosis or for decisions about a person.",
        "A model that predicts a target has found something in the image that is correlated with the target. This "
        "does not prove a cause, and it does not prove that the model reads the anatomy.",
    ]
    archives = results.table_one.filter((pl.col("variable") == "archive") & (pl.col("column") == "all"))[
        "level"
    ].unique()
    if len(archives) == 1:
        points.append(
            f"All radiographs come from one archive ({archives[0]}). The models were not tested on other archives, "
            f"where models are usually worse."
        )
    # Limits of each task: size of the test set, choice of the best model, kinds of model and target.
    for task in results.tasks:
        smallest = results.told_apart(task)
        if smallest:
            points.append(f"{task.words}: {smallest}.")
        if task.chosen == "pooled":
            points.append(
                f"{task.words}: the best model was chosen by validation scores over all rotations, and validation "
                f"patients of one rotation are test patients of another. So its score may be slightly too good."
            )
        limits = [note.shows.limits for note in results.members(task)]
        points += [f"{task.words}: {limit}" for limit in dict.fromkeys(limits) if limit]
        if task.shows.limits:
            points.append(f"{task.words}: {task.shows.limits}")
        if task.oracle:
            points.append(
                f"{task.words}: the patients are synthetic (a phantom), and their anatomy follows a formula. Scores "
                f"show whether the method works; they say nothing about real patients."
            )
    # Checks that did not run, because the reader must not take them as passed.
    undone = results.check_results.filter(pl.col("outcome").is_in(["skipped", "not_applicable"]))
    if undone.height:
        # A check may have run for some targets and not for others.
        done = set(results.check_results["code"]) - set(undone["code"]) | set(
            results.check_results.filter(pl.col("outcome").is_in(["passed", "failed"]))["code"]
        )
        never, partly = sorted(set(undone["code"]) - done), sorted(set(undone["code"]) & done)
        if never:
            points.append(f"Checks that could not run: {', '.join(never)} (see Audits).")
        if partly:
            points.append(f"Checks that could run for some targets only: {', '.join(partly)} (see Audits).")
    if results.statements.get("absent"):
        points.append(results.statements["absent"])
    written = results.statements.get("limitations", "")
    blocks: list[Block] = [Points(tuple(dict.fromkeys(points)))]
    blocks.append(Text(f"The authors add: {written}" if written else "The authors have stated no further limitations."))
    return Section("limits", "What this study cannot say", "Read this before quoting a number.", tuple(blocks))
