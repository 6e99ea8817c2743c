"""Radiographs with the best, median and worst predictions."""

import polars as pl

from xray_mining.reporting.layout import title_of
from xray_mining.reporting.results import Results, slug
from xray_mining.reporting.section import Block, Gallery, Part, Picture, Section

ORDER = 80


def applies(results: Results) -> bool:
    """Always."""
    return True


def build(results: Results) -> Section:
    """One gallery for each experiment and kind of case; without pictures the reason."""
    frame = results.pictures.filter((pl.col("section") == "cases") & (pl.col("kind") == "case")).sort("order")
    title = "Cases"
    if frame.is_empty():
        return Section(
            "cases",
            title,
            "No case is shown. Either there are no pictures or too few test patients, or the archive is private, or no "
            "header says that its radiograph is free of burned-in text (which is declared by the header; pictures were "
            "not examined). In the last two cases, `show_unexamined: true` under `evaluation` in the study file shows "
            "them.",
        )
    blocks: list[Block] = []
    for task in results.tasks:
        galleries = []
        for experiment in frame.filter(pl.col("experiment").is_in(list(task.experiments)))["experiment"].unique(
            maintain_order=True
        ):
            own = frame.filter(pl.col("experiment") == experiment)
            groups: dict[str, list[Picture]] = {}
            # A label is 'best: true 34, predicted 34'; its first part names the gallery.
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
        f"Test images with the smallest, the median and the largest errors of the best model. {_left_out(results)}",
        tuple(blocks),
    )


def _left_out(results: Results) -> str:
    hidden = results.notes.pictures
    least = results.notes.least_patients
    said = f"Patients of an age band and sex with fewer than {least} test patients are not shown"
    count = "" if hidden.left_out is None else f"{hidden.left_out:,} "
    said += f", nor {count}images with burned-in text or a quality flag other than low resolution"
    if hidden.not_looked_at != 0:
        unseen = "some" if hidden.not_looked_at is None else f"{hidden.not_looked_at:,}"
        said += f"; the headers of {unseen} images say nothing about burned-in text"
    return f"{said}. Burned-in text is declared by the header; pictures were not examined."
