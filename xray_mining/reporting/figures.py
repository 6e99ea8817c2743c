"""Drawings of the page as SVG text: small, deterministic, and readable on light and dark backgrounds."""

import io
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from html import escape
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from xray_mining.reporting.models import ModelKind
from xray_mining.reporting.section import Figure
from xray_mining.workspace import asset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, and greys of the page. The page's style sheet has a light and a dark value for each name.
COLOURS = {
    "ink": "#1f2933",
    "soft": "#52606d",
    "quiet": "#7b8794",
    "line": "#d5dbe1",
    "blue": "#0072b2",
    "orange": "#e69f00",
    "green": "#009e73",
    "vermilion": "#d55e00",
    "purple": "#cc79a7",
    "sky": "#56b4e9",
}
Line: TypeAlias = tuple[str, ModelKind, float, float | None, float | None]
"""A row of `forest`: words, kind of model (for colour and marker), value, low, high."""
DRAWN_POINTS = 700
"""More points than this are drawn as hexagons, because single points would hide each other."""


def colour(kind: ModelKind) -> str:
    """The colour of models of this kind, as hexadecimal text."""
    return COLOURS[kind.colour]


_TOO_LONG = re.compile(r"""(?<=[\s"(,])(-?\d+\.\d{3,})""")

# matplotlib is not thread-safe and its settings are global, so only one thread draws at a time.
_MATPLOTLIB = RLock()


@cache
def _style() -> Any:
    from matplotlib import rc_params_from_file

    path = asset("reports/figures/report.mplstyle")
    return dict(rc_params_from_file(path, use_default_template=False))


@contextmanager
def drawing(
    width: float = 4.2, height: float = 3.9, left: float = 0.62, top: float = 0.32
) -> Generator[tuple[Any, "Axes"]]:
    """Open a matplotlib figure in the report's style; sizes and margins are in inches.

    Margins are given instead of computed, because matplotlib's constrained layout draws everything twice.

    Yields:
        The figure and its axes. Other threads wait until the block ends.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    with _MATPLOTLIB, rc_context(_style()):
        figure = Canvas(figsize=(width, height))
        FigureCanvasSVG(figure)
        figure.subplots_adjust(left / width, 0.5 / height, 1 - 0.12 / width, 1 - top / height)
        yield figure, figure.subplots()


def finished(figure: Any, name: str, caption: str, alternative: str) -> Figure:
    """Save a matplotlib figure as a `Figure` with SVG text for the page.

    Args:
        figure: The matplotlib figure.
        name: Unique name; ids of the SVG start with it.
        caption: Caption below the figure.
        alternative: Description for readers who cannot see it.
    """
    from matplotlib import rc_context

    stream = io.StringIO()
    with _MATPLOTLIB, rc_context({"svg.hashsalt": name}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return Figure(name, tidy(stream.getvalue(), name, alternative), caption, alternative)


def tidy(svg: str, name: str, alternative: str) -> str:
    """Prepare matplotlib's SVG for use inside a page.

    Ids start with `name`, colours become style-sheet variables, global styles and metadata are removed, and coordinates
    are rounded.
    """
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*</defs>", "", svg)
    svg = svg.replace("xlink:href", "href")
    referenced = set(re.findall(r"""(?:href="#|url\(#)([\w.-]+)""", svg))

    def identity(found: re.Match[str]) -> str:
        """The id with the figure's name before it; ids that nothing refers to are removed."""
        return f' id="{name}-{found[1]}"' if found[1] in referenced else ""

    svg = re.sub(r' id="([^"]+)"', identity, svg)
    svg = re.sub(r"""(href="#|url\(#)([\w.-]+)""", lambda found: f"{found[1]}{name}-{found[2]}", svg)
    svg = re.sub(r' d="([^"]+)"', lambda found: f' d="{_short(found[1])}"', svg)
    svg = re.sub(r"<[^>]*>", lambda found: _TOO_LONG.sub(lambda long: _decimals(long[1]), found[0]), svg)
    for word, value in COLOURS.items():
        svg = re.sub(re.escape(value) + r"\b", f"var(--{word}, {value})", svg, flags=re.IGNORECASE)
    svg = svg.replace("#ffffff", "var(--ground, #ffffff)")
    svg = re.sub(r"font:\s*([^;\"]*?)(\d+(?:\.\d+)?)px 'DejaVu Sans'[^;\"]*", _font, svg)
    # For an empty line matplotlib writes a path without data, which HTML checkers reject.
    svg = re.sub(r"<path(?![^>]* d=)[^>]*/>", "", svg)
    svg = re.sub(r">\s+<", "><", svg)
    box = re.search(r'viewBox="([^"]+)"', svg)
    assert box is not None
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box[1]}" role="img" aria-label="{escape(alternative)}" '
        f'style="stroke-linejoin: round; stroke-linecap: butt">'
    )
    return head + svg[svg.index(">") + 1 :]


def standalone(figure: Figure) -> str:
    """The drawing as a complete SVG file, with fixed colours: many programs do not know style-sheet variables."""
    svg = re.sub(r"var\(--\w+, (#[0-9a-f]{6})\)", r"\1", figure.svg)
    box = re.search(r'viewBox="([\d.-]+) ([\d.-]+) ([\d.]+) ([\d.]+)"', svg)
    assert box is not None
    ground = f'<rect x="{box[1]}" y="{box[2]}" width="{box[3]}" height="{box[4]}" style="fill: #ffffff"/>'
    place = svg.index(">") + 1
    head = svg[:place].replace("<svg ", f'<svg width="{box[3]}pt" height="{box[4]}pt" ', 1)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{ground}{svg[place:]}\n'


def _font(found: re.Match[str]) -> str:
    weight = "bold " if "bold" in found[1] or "700" in found[1] else ""
    return f"font: {weight}{found[2]}px system-ui, 'Segoe UI', 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"


def _decimals(text: str) -> str:
    short = f"{float(text):.2f}".rstrip("0").rstrip(".")
    return "0" if short in ("-0", "") else short


def _short(path: str) -> str:
    path = re.sub(r"-?\d+\.\d+(?:e-?\d+)?", lambda found: _decimals(found[0]), path)
    return re.sub(r"\s*([MLQCZz])\s*", r"\1", path).strip()


def points(axes: "Axes", x: np.ndarray, y: np.ndarray, colour: str) -> None:
    """Draw points (n,), or for more than DRAWN_POINTS hexagons that are darker the more points they contain.

    Both need only a few SVG paths, so the page stays small.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if len(x) <= DRAWN_POINTS:
        # A zero-length line with round caps is a dot of about 20 bytes; a matplotlib marker takes 100 bytes.
        corners = np.repeat(np.column_stack([x, y]), 2, axis=0)
        codes = np.tile([Path.MOVETO, Path.LINETO], len(x))
        for part in range(4):  # four layers: overlapping dots still look denser
            chosen = np.repeat(np.arange(len(x)) % 4 == part, 2)
            dots = Path(corners[chosen], codes[chosen])
            dots.should_simplify = False
            axes.add_patch(
                PathPatch(
                    dots,
                    facecolor="none",
                    edgecolor=colour,
                    alpha=0.45,
                    linewidth=3.2,
                    capstyle="round",
                )
            )
        return
    low, high = axes.get_xlim()
    columns = 32
    step_x = (high - low) / columns
    bottom, top = axes.get_ylim()
    step_y = (top - bottom) / columns * 0.866
    centres, counts = _hexagons((x - low) / step_x, (y - bottom) / step_y)
    corner = np.array([(0, -2 / 3), (0.5, -1 / 3), (0.5, 1 / 3), (0, 2 / 3), (-0.5, 1 / 3), (-0.5, -1 / 3)]) * 0.98
    levels = np.minimum((5 * np.sqrt(counts / counts.max())).astype(int), 4)
    for level in range(5):
        shapes = []
        for centre in centres[levels == level]:
            ring = (centre + corner) * (step_x, step_y) + (low, bottom)
            shapes.append(Path(np.vstack([ring, ring[:1]]), closed=True))
        if shapes:
            shape = Path.make_compound_path(*shapes)
            axes.add_patch(PathPatch(shape, facecolor=colour, edgecolor="none", alpha=(0.14, 0.3, 0.5, 0.75, 1)[level]))


def _hexagons(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (cells, 2) of hexagons with points, and the number of points in each (cells,)."""
    # Odd rows of hexagons are shifted by half a column.
    row = np.round(y)
    shift = np.where(row % 2 == 0, 0.0, 0.5)
    column = np.round(x - shift)
    return np.unique(np.column_stack([column + shift, row]), axis=0, return_counts=True)


def band(axes: "Axes", x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> None:
    """Draw an interval (low to high) around a line, with gaps where an end is nan."""
    axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)


def ticks_of_ages(axes: "Axes", low: float, high: float) -> None:
    """Set the ends of a horizontal age axis, with ticks at multiples of ten years."""
    axes.set_xlim(low, high)
    axes.set_xticks([age for age in range(0, 131, 10) if low <= age <= high])


def forest(
    name: str,
    rows: Sequence[Line],
    *,
    label: str,
    caption: str,
    alternative: str,
    reference: float | None = None,
    reference_words: str = "",
    width: float = 5.0,
    ticks: Sequence[float | None] = (),
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw a dot with an interval for each of `rows`, from top to bottom.

    Args:
        name: Name of the figure.
        rows: Words, kind of model, value and interval of each row.
        label: Title of the value axis.
        caption: Caption below the figure.
        alternative: Description for readers who cannot see it.
        reference: Place of a dashed vertical line, for example the score of guessing.
        reference_words: Words beside this line.
        width: Width in inches.
        ticks: Values of another model in the same rows, drawn as short vertical lines.
        limits: Ends of the axis, so that several figures have the same scale.
    """
    # The left margin must fit the longest words.
    longest = max((len(row[0]) for row in rows), default=0)
    with drawing(width, 0.9 + 0.27 * max(len(rows), 1), left=0.2 + 0.073 * longest, top=0.06) as (figure, axes):
        for place, (_, kind, value, low, high) in enumerate(rows):
            shade = colour(kind)
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color=shade, linewidth=2, solid_capstyle="round", alpha=0.6)
            axes.plot(
                [value],
                [place],
                marker=kind.marker,
                markersize=5,
                color=shade,
                markerfacecolor="#ffffff" if kind.hollow else shade,
            )
        for place, value in enumerate(ticks):
            if value is not None:
                axes.plot([value], [place], marker="|", markersize=9, markeredgewidth=1.6, color=COLOURS["orange"])
        if limits is not None:
            axes.set_xlim(*limits)
        if reference is not None:
            _reference_line(axes, reference, reference_words)
        axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        axes.tick_params(axis="y", length=0, labelsize=8.5, labelcolor=COLOURS["ink"])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(label)
        return finished(figure, name, caption, alternative)


def _reference_line(axes: "Axes", value: float, words: str) -> None:
    axes.axvline(value, color=COLOURS["quiet"], linewidth=0.9, linestyle=(0, (4, 3)))
    if words:
        axes.annotate(
            words,
            (value, 0),
            xycoords=("data", "axes fraction"),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=7.5,
            color=COLOURS["soft"],
        )


def labelled(lines: Sequence[str], limit: int) -> Iterator[str]:
    """Break text into lines of at most `limit` characters where words permit it."""
    for line in lines:
        current = ""
        for word in line.split():
            if current and len(current) + 1 + len(word) > limit:
                yield current
                current = word
            else:
                current = f"{current} {word}".strip()
        if current:
            yield current
