"""How each cohort came about."""

from collections.abc import Mapping, Sequence
from typing import Any

from xray_mining.reporting.flow_figure import flow_diagram
from xray_mining.reporting.results import Results, slug
from xray_mining.reporting.section import Block, Code, Figures, Part, Points, Section

ORDER = 10


def applies(results: Results) -> bool:
    """Always: a page without its cohort says nothing."""
    return True


def build(results: Results) -> Section:
    """One diagram a cohort, with the SQL that it was drawn by."""
    blocks: list[Block] = []
    for cohort in results.cohorts:
        inner: list[Block] = []
        if cohort.get("steps"):
            diagram = flow_diagram(f"flow-{slug(cohort['cohort'])}", cohort["steps"], _ends(cohort))
            inner.append(Figures((diagram,)))
        if cohort.get("sentences"):
            inner.append(Points(tuple(cohort["sentences"])))
        if cohort.get("sql"):
            given = ", ".join(f"{key} = {value}" for key, value in cohort.get("parameters", {}).items())
            inner.append(Code(f"The SQL of this cohort{f' ({given})' if given else ''}", cohort["sql"]))
        blocks.append(Part(f"Cohort {results.cohort_words(cohort['cohort'])}", tuple(inner)))
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


def _ends(cohort: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    # Under several rotations every member has every role in turn: rotation 0's counts would be those of a fifth only.
    rotations = cohort.get("rotations", 1)
    if rotations == 1:
        return cohort.get("roles", ())
    return ({"role": f"{rotations} rotations: each is tested once"} | cohort["tested"],)
