"""Write the flow of a frozen cohort as an SVG file."""

from pathlib import Path

from xray_mining.errors import UserError
from xray_mining.evaluation.cohorts import flow
from xray_mining.records.cohort import FrozenCohort
from xray_mining.reporting.figures import standalone
from xray_mining.reporting.flow_figure import flow_diagram
from xray_mining.reporting.page import write_bytes
from xray_mining.reporting.results import slug


def require_svg(target: Path) -> None:
    """Check that `target` is the name of an SVG file, before the cohort is frozen.

    Raises:
        UserError: if it is not.
    """
    if target.suffix.lower() != ".svg":
        raise UserError(f"--diagram {target}: the diagram is an SVG; name a file that ends in .svg")


def write_diagram(cohort: FrozenCohort, target: Path) -> None:
    """Draw the flow of the cohort in CONSORT style: images kept and left out by each step, and the roles of members."""
    counted = flow(cohort, ())
    figure = flow_diagram(f"flow-{slug(cohort.name)}", counted["steps"], counted["roles"])
    write_bytes(target, standalone(figure).encode())
