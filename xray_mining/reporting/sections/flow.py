"""The flow of each cohort: how its images and patients were selected."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from xray_mining.reporting.count_figures import pyramid
from xray_mining.reporting.flow_figure import flow_diagram
from xray_mining.reporting.results import Results, slug
from xray_mining.reporting.section import Block, Code, Figure, Figures, Folded, Part, Points, Section, hidden_note

ORDER = 10


def applies(results: Results) -> bool:
    """Always: results mean nothing without the cohort."""
    return True


def build(results: Results) -> Section:
    """Members by age and sex, the SQL that selects them, and the flow diagrams side by side."""
    blocks: list[Block] = []
    diagrams, people = [], []
    for cohort in results.cohorts:
        words = results.cohort_words(cohort["cohort"])
        if cohort.get("steps"):
            diagram = flow_diagram(f"flow-{slug(cohort['cohort'])}", cohort["steps"], _ends(cohort))
            diagrams.append(replace(diagram, caption=f"{words[:1].upper()}{words[1:]}. {diagram.caption}"))
        if cohort.get("ages"):
            people.append(_people(cohort, words, results.notes.least_patients))
    if people:
        blocks.append(Figures(tuple(people)))
    for cohort in results.cohorts:
        inner: list[Block] = []
        if cohort.get("sentences"):
            inner.append(Points(tuple(cohort["sentences"])))
        if cohort.get("sql"):
            given = ", ".join(f"{key} = {value}" for key, value in cohort.get("parameters", {}).items())
            inner.append(Code(f"The SQL of this cohort{f' ({given})' if given else ''}", cohort["sql"]))
        blocks.append(Part(f"Cohort {results.cohort_words(cohort['cohort'])}", tuple(inner), _counted(cohort)))
    if diagrams:
        # Flows are side by side, so that a step in which two cohorts differ is on one line.
        title = "The flow, step by step" if len(diagrams) == 1 else f"The {len(diagrams)} flows, step by step"
        blocks.append(Folded(title, (Figures(tuple(diagrams)),)))
    if not blocks:
        return Section("flow", "Cohort", "No flow was recorded for the cohorts of this study.")
    first = results.cohorts[0]
    rule = (
        "The cohort's SQL decides which patients are for training and which for testing."
        if first.get("split_given")
        else f"A digest of the patient's id decides the fold (one of {first.get('folds', '?')}), so that all images "
        f"of a patient are in the same fold."
    )
    return Section("flow", "Cohort", f"How patients were selected from the archive. {rule}", tuple(blocks))


def _counted(cohort: Mapping[str, Any]) -> str:
    """One sentence with the first and the last count, because the diagram is folded."""
    steps = cohort.get("steps") or ()
    if not steps:
        return ""
    first, last = steps[0], steps[-1]
    tested = cohort.get("tested") or next((each for each in cohort.get("roles", ()) if each["role"] == "test"), None)
    end = f", {tested['patients']:,} patients tested" if tested else ""
    return (
        f"From {first['images']:,} images of {first['patients']:,} patients to {last['images']:,} of "
        f"{last['patients']:,}{end}."
    )


def _people(cohort: Mapping[str, Any], words: str, least: int) -> Figure:
    """A small pyramid of members by age and sex; hidden counts are hatched."""
    cells = {(each["sex"], each["band"]): each["patients"] for each in cohort["ages"]}
    bands = list(dict.fromkeys(each["band"] for each in cohort["ages"]))
    women, men = ([cells.get((sex, band), 0) for band in bands] for sex in ("F", "M"))
    hidden = None in women or None in men
    told = "; ".join(
        f"{band}: {' and '.join('hidden' if one is None else f'{one:,}' for one in pair)}"
        for band, *pair in zip(bands, women, men, strict=True)
    )
    return pyramid(
        f"people-{slug(cohort['cohort'])}",
        bands,
        women,
        men,
        caption=f"{words[:1].upper()}{words[1:]}: members by sex and age, each patient once."
        + (f" Hatched bars are {hidden_note(least)}" if hidden else ""),
        alternative=f"Women and men of the cohort {words} by age: {told}.",
    )


def _ends(cohort: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The last boxes of the diagram: the roles with one rotation, else all tested members.

    With several rotations every member has every role in turn, so counts of one rotation would mislead.
    """
    rotations = cohort.get("rotations", 1)
    if rotations == 1:
        return cohort.get("roles", ())
    return ({"role": f"{rotations} rotations: each patient is tested once"} | cohort["tested"],)
