"""The flow of a frozen cohort as an SVG file of its own."""

from pathlib import Path

from xray_mining.errors import UserError
from xray_mining.evaluation.cohorts import flow
from xray_mining.records.cohort import FrozenCohort
from xray_mining.reporting.figures import standalone
from xray_mining.reporting.flow_figure import flow_diagram
from xray_mining.reporting.page import write_bytes
from xray_mining.reporting.results import slug


def require_svg(target: Path) -> None:
    """UserError where `target` is not named as an SVG file: better before the cohort is frozen than after."""
    if target.suffix.lower() != ".svg":
        raise UserError(f"--diagram {target}: the diagram is an SVG; name a file that ends in .svg")


def write_diagram(cohort: FrozenCohort, target: Path) -> None:
    """Draw how the cohort came about, CONSORT style: what each step kept and left out, and what the members are for."""
    told = flow(cohort, ())
    figure = flow_diagram(f"flow-{slug(cohort.name)}", told["steps"], told["roles"])
    write_bytes(target, standalone(figure).encode())
