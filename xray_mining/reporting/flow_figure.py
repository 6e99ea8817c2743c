"""The flow of a cohort as a CONSORT-style diagram: the images that each step kept and left out."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from xray_mining.reporting.figures import COLOURS, labelled
from xray_mining.reporting.section import Figure

_WIDTH = 470
_MAIN, _SIDE, _GAP = 270, 160, 26
_LINE, _PADDING = 15, 9
_FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"


def flow_diagram(name: str, steps: Sequence[Mapping[str, Any]], roles: Sequence[Mapping[str, Any]] = ()) -> Figure:
    """Draw the flow of one cohort.

    Args:
        name: Name of the figure.
        steps: The cohort's steps in order, each with `words`, `images` and `patients` that remain after it.
        roles: The roles of the members (training, …), each with `role`, `images` and `patients`, drawn below the steps.
    """
    parts: list[str] = []
    y = 4.0
    before: Mapping[str, Any] | None = None
    sentences = []
    for number, step in enumerate(steps):
        words = list(labelled([_first_upper(str(step["words"]))], 32 if number == len(steps) - 1 else 36))
        lines = [*[(line, "ink", "600" if number == len(steps) - 1 else "400") for line in words]]
        lines.append((_counts(step), "soft", "400"))
        height = 2 * _PADDING + _LINE * len(lines)
        if before is not None:
            left_out = int(before["images"]) - int(step["images"])
            gone = int(before["patients"]) - int(step["patients"])
            middle = y + _GAP / 2 + 6
            gap = _GAP
            # A box at the side shows the images and patients that a step left out: the difference of two steps.
            if left_out or gone:
                aside = [
                    (f"left out: {left_out:,} images", "soft", "400"),
                    (f"{gone:,} patients" if gone else "no patients", "soft", "400"),
                ]
                tall = 2 * 5 + 13 * len(aside)
                gap = max(_GAP, tall + 8)
                middle = y + gap / 2
                parts.append(_arrow(_MAIN / 2 + 4, middle, _WIDTH - _SIDE - 4, middle))
                parts.append(
                    _box(_WIDTH - _SIDE, middle - tall / 2, _SIDE - 4, tall, aside, line=13, size=10.5, side=True)
                )
            parts.append(_arrow(_MAIN / 2 + 4, y, _MAIN / 2 + 4, y + gap))
            y += gap
        last = number == len(steps) - 1
        parts.append(_box(4, y, _MAIN, height, lines, accent=last))
        sentences.append(f"{step['words']}: {_counts(step)}")
        y += height
        before = step
    if roles:
        ends, words, y = _roles(roles, y)
        parts += ends
        sentences += words
    alternative = "Flow of the cohort. " + "; ".join(sentences) + "."
    marker = (
        f'<defs><marker id="{name}-tip" viewBox="0 0 6 6" refX="5.2" refY="3" markerWidth="6" markerHeight="6" '
        f'orient="auto"><path d="M0 0L6 3L0 6z" style="fill: var(--quiet, {COLOURS["quiet"]})"/></marker></defs>'
    )
    body = "".join(parts).replace("url(#tip)", f"url(#{name}-tip)")
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 4:g}" role="img" '
        f'aria-label="{escape(alternative)}">{marker}{body}</svg>'
    )
    return Figure(name, svg, "Each box shows the images and patients that remain after the step.", alternative)


def _roles(roles: Sequence[Mapping[str, Any]], y: float) -> tuple[list[str], list[str], float]:
    """The boxes of the roles side by side below `y`, a sentence for each role, and the y of their lower edge."""
    parts: list[str] = []
    sentences: list[str] = []
    width = (_WIDTH - 8 - 12 * (len(roles) - 1)) / len(roles) if len(roles) > 1 else _MAIN
    gap, bar = 30.0, y + 14
    centres = [4 + place * (width + 12) + width / 2 for place in range(len(roles))]
    parts.append(_path(f"M{_MAIN / 2 + 4:g} {y:g}V{bar:g}M{centres[0]:g} {bar:g}H{centres[-1]:g}"))
    for centre, role in zip(centres, roles, strict=True):
        parts.append(_arrow(centre, bar, centre, y + gap))
        lines = [
            (_first_upper(str(role["role"])), "ink", "600"),
            (f"{int(role['images']):,} images", "soft", "400"),
            (f"{int(role['patients']):,} patients", "soft", "400"),
        ]
        parts.append(_box(centre - width / 2, y + gap, width, 2 * _PADDING + 3 * _LINE, lines, middle=True))
        sentences.append(f"{role['role']}: {_counts(role)}")
    y += gap + 2 * _PADDING + 3 * _LINE
    return parts, sentences, y


def _counts(step: Mapping[str, Any]) -> str:
    return f"{int(step['images']):,} images, {int(step['patients']):,} patients"


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _path(path: str, tip: bool = False) -> str:
    end = ' marker-end="url(#tip)"' if tip else ""
    return f'<path d="{path}" style="fill: none; stroke: var(--quiet, {COLOURS["quiet"]})"{end}/>'


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return _path(f"M{x1:g} {y1:g}L{x2:g} {y2:g}", tip=True)


def _box(
    x: float,
    y: float,
    width: float,
    height: float,
    lines: Sequence[tuple[str, str, str]],
    *,
    line: float = _LINE,
    size: float = 12,
    accent: bool = False,
    side: bool = False,
    middle: bool = False,
) -> str:
    edge = "blue" if accent else "quiet"
    dash = "; stroke-dasharray: 3 3" if side else ""
    shape = (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" '
        f'style="fill: var(--paper, #ffffff); stroke: var(--{edge}, {COLOURS[edge]}); '
        f'stroke-width: {1.6 if accent else 1}{dash}"/>'
    )
    top = y + (height - line * len(lines)) / 2 + line * 0.74
    start, anchor = (x + width / 2, "middle") if middle else (x + 11, "start")
    words = "".join(
        f'<text x="{start:g}" y="{top + place * line:g}" text-anchor="{anchor}" '
        f'style="font: {weight} {size:g}px {_FONT}; fill: var(--{shade}, {COLOURS[shade]})">{escape(text)}</text>'
        for place, (text, shade, weight) in enumerate(lines)
    )
    return shape + words
