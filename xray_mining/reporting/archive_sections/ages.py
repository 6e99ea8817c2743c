"""Sources of the ages, and impossible ages."""

from xray_mining.reporting.archive_results import ArchiveResults, listed, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.metrics import number
from xray_mining.reporting.section import HIDDEN, Block, Cell, Column, Figures, Section

ORDER = 15
_SOURCES = {
    "dates": "birth date and study date",
    "age_string": "the age as written in the file",
    "table": "the set's table",
    "none": "no age is known",
}
_COLUMNS = (
    ("age_source", Column("Age from")),
    ("images", Column("Images", numeric=True)),
    ("impossible", Column("Impossible", numeric=True, explanation="An age that no person can have.")),
    ("topcoded", Column("Set to 90", numeric=True, explanation="Ages over 89 are set to 90.")),
    ("lower_age", Column("5 %, years", numeric=True, explanation="One image in twenty is of a younger patient.")),
    ("median_age", Column("Median, years", numeric=True)),
    ("upper_age", Column("95 %, years", numeric=True, explanation="One image in twenty is of an older patient.")),
)


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def _topcoded(count: int | None) -> Cell:
    return HIDDEN if count is None else Cell(number(count, 0), value=float(count))


def build(results: ArchiveResults) -> Section:
    """Sources of the ages, and impossible ages as stated."""
    frame = results.table("ages")
    title = "Ages"
    if frame.is_empty():
        return Section("ages", title, "The archive has no images, so there are no ages.")
    impossible = int(frame["impossible"].sum())
    topcoded = None if frame["topcoded"].null_count() else int(frame["topcoded"].sum())
    unknown = sum(row["images"] for row in frame.iter_rows(named=True) if row["age_source"] == "none")
    # Sources first, then images without an age, and ages that could not be used as stated.
    counts = [
        *(
            (_SOURCES[row["age_source"]], row["images"])
            for row in frame.iter_rows(named=True)
            if row["age_source"] != "none"
        ),
        ("not known", unknown),
        ("stated, but impossible", impossible),
        ("over 89, set to 90", topcoded),
    ]
    figure = bars(
        "archive-ages-figure",
        counts,
        label="images",
        caption="Images by the source of their age. The last bars are missing ages, and ages that could not be used as "
        "stated.",
        alternative=f"Images by source of age: {said(counts)}.",
    )
    blocks: list[Block] = [
        Figures((figure,)),
        listed(
            results,
            "ages",
            "Sources of ages",
            _COLUMNS,
            words={"age_source": lambda source: _SOURCES.get(source, source), "topcoded": _topcoded},
            share_of=results.totals["images"],
        ),
    ]
    if results.table("impossible_ages").height:
        blocks.append(
            listed(
                results,
                "impossible_ages",
                "Impossible ages as stated",
                (("stated", Column("Stated")), ("images", Column("Images", numeric=True))),
            )
        )
    sentence = (
        f"{impossible:,} {'image states' if impossible == 1 else 'images state'} an age that no patient can have; it "
        f"counts as unknown."
        if impossible
        else "No image states an impossible age."
    )
    return Section("ages", title, sentence, tuple(blocks))
