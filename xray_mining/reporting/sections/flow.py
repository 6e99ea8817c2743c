"""The flow of each cohort."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from xray_mining.reporting.count_figures import pyramid
from xray_mining.reporting.flow_figure import flow_diagram
from xray_mining.reporting.results import Results, slug
from xray_mining.reporting.section import Block, Code, Figure, Figures, Folded, Part, Points, Section, hidden_note

ORDER = 10


def applies(results: Results) -> bool:
    """Always: a page without its cohort says nothing."""
    return True


def build(results: Results) -> Section:
    """Who the members are, the SQL that they were drawn by, and the flows side by side."""
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
        # Flows are beside each other, so that the step at which two cohorts differ is on one line.
        title = "The flow, step by step" if len(diagrams) == 1 else f"The {len(diagrams)} flows, step by step"
        blocks.append(Folded(title, (Figures(tuple(diagrams)),)))
    if not blocks:
        return Section("flow", "Cohort", "No flow was recorded for the cohorts of this study.")
    first = results.cohorts[0]
    rule = (
        "Who is trained on and who is tested was given by the cohort's SQL."
        if first.get("split_given")
        else f"A digest of the patient decides the fold (one of {first.get('folds', '?')}), so that no patient is on "
        f"two sides."
    )
    return Section("flow", "Cohort", f"From the archive to those who were tested. {rule}", tuple(blocks))


def _counted(cohort: Mapping[str, Any]) -> str:
    """From how many to how many, in one sentence: the diagram is folded."""
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
    """A small picture of age by sex; what is not printed is hatched."""
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
    # Under several rotations every member has every role in turn: rotation 0's counts would be those of a fifth only.
    rotations = cohort.get("rotations", 1)
    if rotations == 1:
        return cohort.get("roles", ())
    return ({"role": f"{rotations} rotations: each is tested once"} | cohort["tested"],)
