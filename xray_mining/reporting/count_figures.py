"""Drawings of counts: bars, columns over years, the pyramid of age and sex."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from xray_mining.reporting.figures import COLOURS, drawing, finished
from xray_mining.reporting.section import HIDDEN, Figure

DRAWN_BARS = 15
_LONGEST = 34


HIDDEN_LENGTH = 0.08
"""Length of a bar with a hidden count, as a share of the longest bar."""


def hatched(axes: Any, upright: bool = False, **place: Any) -> None:
    """Draw a bar for a hidden count; all such bars have the same length, so that the length reveals nothing."""
    draw = axes.bar if upright else axes.barh
    # Matplotlib draws the hatch in the colour of the edge. The outline shows that the group is not empty.
    draw(**place, facecolor="none", edgecolor=COLOURS["quiet"], hatch="//////", linewidth=0.6)


def short(text: str, limit: int = _LONGEST) -> str:
    """Cut `text` to at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 2].rstrip() + " …"


def bars(
    name: str,
    rows: Sequence[tuple[str, float | None]],
    *,
    label: str,
    caption: str,
    alternative: str,
    colour: str = "blue",
    percent: bool = False,
    signed: bool = False,
) -> Figure:
    """Draw one horizontal bar for each row, from top to bottom, at most DRAWN_BARS; the caption says how many.

    Args:
        name: Name of the figure.
        rows: Words and value of each bar; for the value None a hatched bar with the word 'hidden' is drawn.
        label: Title of the value axis.
        caption: Caption below the figure.
        alternative: Description for readers who cannot see it.
        colour: A name in `figures.COLOURS`.
        percent: Values are shares in [0, 1], or [-1, 1] if signed, and are written in percent.
        signed: Values may be negative; bars start at a line in the middle.
    """
    shown = rows[:DRAWN_BARS]
    if len(rows) > len(shown):
        caption = f"{caption} The first {len(shown)} of {len(rows):,} are drawn."
    # The left margin must fit the longest words; shares are drawn on an axis up to 100 %.
    longest = max((len(short(words)) for words, _ in shown), default=4)
    scale = 100 if percent else 1
    longest_bar = max((scale * abs(value) for _, value in shown if value is not None), default=0) or 1
    most = 100 if percent and not signed else longest_bar
    values = [HIDDEN_LENGTH * most if value is None else scale * value for _, value in shown]
    with drawing(5.6, 0.85 + 0.27 * max(len(shown), 1), left=0.25 + 0.073 * longest, top=0.06) as (figure, axes):
        for place, ((_, value), length) in enumerate(zip(shown, values, strict=True)):
            shade = COLOURS["vermilion" if signed and length < 0 else colour]
            if value is None:
                hatched(axes, y=place, width=length, height=0.68)
                words = HIDDEN.text
            elif percent:
                words = f"{length:+.1f}" if signed else f"{length:.1f} %"
            else:
                words = f"{length:,.0f}"
            if value is not None:
                axes.barh(place, length, height=0.68, color=shade, alpha=0.85, linewidth=0)
            _beside_bar(axes, length, place, words.replace("-", "−"), left=signed and length < 0)
        axes.set_yticks(range(len(shown)), [short(words) for words, _ in shown])
        axes.tick_params(axis="y", length=0, labelsize=8.5, labelcolor=COLOURS["ink"])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_ylim(len(shown) - 0.4, -0.6)
        room = 1.4 if any(value < 0 for value in values) else 0.05
        axes.set_xlim(-room * most if signed else 0, (1.4 if signed else 1.22) * most)
        if signed:
            axes.axvline(0, color=COLOURS["quiet"], linewidth=0.8)
        _counts(axes.xaxis, percent, signed)
        axes.set_xlabel(label)
        return finished(figure, name, caption, alternative)


def _beside_bar(axes: Any, length: float, place: int, words: str, *, left: bool) -> None:
    """Write a bar's value beside its end; `left` for bars that go to the left."""
    axes.annotate(
        words,
        (length, place),
        xytext=(-4 if left else 4, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=8,
        color=COLOURS["soft"],
    )


def columns(
    name: str, rows: Sequence[tuple[int, float | None]], *, label: str, across: str, caption: str, alternative: str
) -> Figure:
    """Draw one upright column for each whole number, for example images by year; the value None is hatched."""
    with drawing(7.2, 3.1, left=0.75, top=0.12) as (figure, axes):
        known = [(at, value) for at, value in rows if value is not None]
        if known:
            axes.bar(*np.array(known, float).T, width=0.82, color=COLOURS["blue"], alpha=0.85, linewidth=0)
        most = max((value for _, value in known), default=0) or 1
        for at, value in rows:
            if value is None:
                hatched(axes, upright=True, x=at, height=HIDDEN_LENGTH * most, width=0.82)
        if rows:
            low, high = min(at for at, _ in rows), max(at for at, _ in rows)
            axes.set_xlim(low - 0.7, high + 0.7)
            step = max(1, -(-(high - low + 1) // 12))
            axes.set_xticks(range(low, high + 1, step), [str(at) for at in range(low, high + 1, step)])
        axes.grid(visible=False, axis="x")
        axes.set_xlabel(across)
        axes.set_ylabel(label)
        _counts(axes.yaxis, percent=False)
        return finished(figure, name, caption, alternative)


def pyramid(
    name: str,
    bands: Sequence[str],
    women: Sequence[float | None],
    men: Sequence[float | None],
    *,
    caption: str,
    alternative: str,
) -> Figure:
    """Draw women to the left and men to the right, with the youngest band at the bottom; the value None is hatched."""
    most = max((value for value in (*women, *men) if value is not None), default=0) or 1
    with drawing(5.6, 1.1 + 0.2 * max(len(bands), 1), left=0.8, top=0.34) as (figure, axes):
        for sign, values, shade in ((-1, women, "vermilion"), (1, men, "blue")):
            lengths = [sign * (value or 0) for value in values]
            axes.barh(range(len(bands)), lengths, height=0.84, color=COLOURS[shade], alpha=0.85, linewidth=0)
            for place, value in enumerate(values):
                if value is None:
                    hatched(axes, y=place, width=sign * HIDDEN_LENGTH * most, height=0.84)
        axes.axvline(0, color=COLOURS["ink"], linewidth=0.8)
        axes.set_yticks(range(len(bands)), list(bands))
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.6, len(bands) - 0.4)
        axes.set_xlim(-1.06 * most, 1.06 * most)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        _counts(axes.xaxis, percent=False)
        for place, words in ((0.25, "women"), (0.75, "men")):
            axes.text(place, 1.02, words, transform=axes.transAxes, ha="center", fontsize=9, weight="bold")
        axes.set_xlabel("patients")
        axes.set_ylabel("age, years")
        return finished(figure, name, caption, alternative)


def _counts(axis: Any, percent: bool, signed: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def words(value: float, _: int) -> str:
        """A tick's words; the left side of a pyramid has positive numbers."""
        if signed:
            return f"{value:+g}".replace("-", "−") if value else "0"
        value = abs(value)
        return f"{value:g} %" if percent else f"{value:,.0f}"

    axis.set_major_locator(MaxNLocator(5, integer=not percent))
    axis.set_major_formatter(FuncFormatter(words))
