"""Best, median and worst cases, as pictures."""

import polars as pl

from xray_mining.reporting.layout import title_of
from xray_mining.reporting.results import Results, slug
from xray_mining.reporting.section import Block, Gallery, Part, Picture, Section

ORDER = 80


def applies(results: Results) -> bool:
    """Always."""
    return True


def build(results: Results) -> Section:
    """One gallery an experiment and kind of case."""
    frame = results.pictures.filter((pl.col("section") == "cases") & (pl.col("kind") == "case")).sort("order")
    title = "Cases"
    if frame.is_empty():
        return Section("cases", title, "No case is shown: there were no pictures, or too few test patients.")
    blocks: list[Block] = []
    for task in results.tasks:
        galleries = []
        for experiment in frame.filter(pl.col("experiment").is_in(list(task.experiments)))["experiment"].unique(
            maintain_order=True
        ):
            own = frame.filter(pl.col("experiment") == experiment)
            groups: dict[str, list[Picture]] = {}
            for row in own.iter_rows(named=True):
                which, _, words = row["label"].partition(": ")
                if not words:
                    which, words = "", row["label"]
                alternative = f"Radiograph, {which + ' case: ' if which else ''}{words}"
                groups.setdefault(which, []).append(Picture(row["png"], words, alternative))
            model = results.experiments[experiment].words
            for which, pictures in groups.items():
                name = f"cases-{task.anchor}-{slug(experiment)}-{slug(which or 'all')}"
                caption = f"{which.capitalize()} of {model}" if which else f"Cases of {model}"
                galleries.append(Gallery(name, caption, tuple(pictures)))
        if galleries:
            blocks.append(Part(title_of(results, task), tuple(galleries)))
    return Section(
        "cases",
        title,
        "Where the best model is right, where it errs as usual, and where it is most wrong. Flagged images and "
        "patients of small groups are not shown.",
        tuple(blocks),
    )
