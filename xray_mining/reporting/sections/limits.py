"""What the study cannot say."""

import polars as pl

from xray_mining.reporting.results import Results
from xray_mining.reporting.section import Block, Points, Section, Text

ORDER = 93


def applies(results: Results) -> bool:
    """Always."""
    return True


def build(results: Results) -> Section:
    """Sentences that follow from how the study was made, and those its authors wrote."""
    points = [
        "It describes radiographs of this archive. It is no medical device and must not be used for diagnosis or for "
        "decisions about a person.",
        "A model that predicts a target has found something in the image that goes with it; that is no proof of a "
        "cause, nor that the anatomy is what was read.",
    ]
    archives = results.table_one.filter((pl.col("variable") == "archive") & (pl.col("column") == "all"))[
        "level"
    ].unique()
    if len(archives) == 1:
        points.append(
            f"All radiographs come from one archive ({archives[0]}): how the models do elsewhere was not tested, and "
            f"they usually do worse."
        )
    for task in results.tasks:
        told = results.told_apart(task)
        if told:
            points.append(f"{task.words}: {told}.")
        if task.chosen == "pooled":
            points.append(
                f"{task.words}: the best model was chosen by validation scores pooled over rotations, and the patients "
                f"of one rotation's validation are tested in another: its score may flatter it a little."
            )
        limits = [note.shows.limits for note in results.members(task)]
        points += [f"{task.words}: {limit}" for limit in dict.fromkeys(limits) if limit]
        if task.shows.limits:
            points.append(f"{task.words}: {task.shows.limits}")
        if task.oracle:
            points.append(
                f"{task.words}: the population is a phantom whose anatomy was made by a formula; how well a model "
                f"reads it says whether the method works, nothing about people."
            )
    undone = results.check_results.filter(pl.col("outcome").is_in(["skipped", "not_applicable"]))
    if undone.height:
        # A check of several targets may have been possible for some of them.
        done = set(results.check_results["code"]) - set(undone["code"]) | set(
            results.check_results.filter(pl.col("outcome").is_in(["passed", "failed"]))["code"]
        )
        never, partly = sorted(set(undone["code"]) - done), sorted(set(undone["code"]) & done)
        if never:
            points.append(f"Not checked, because it could not be: {', '.join(never)} (see Audits).")
        if partly:
            points.append(f"Checked where it could be, not for every target: {', '.join(partly)} (see Audits).")
    if results.statements.get("absent"):
        points.append(results.statements["absent"])
    written = results.statements.get("limitations", "")
    blocks: list[Block] = [Points(tuple(dict.fromkeys(points)))]
    blocks.append(Text(f"The authors add: {written}" if written else "The authors have stated no further limitations."))
    return Section("limits", "What this study cannot say", "Read this before quoting a number.", tuple(blocks))
