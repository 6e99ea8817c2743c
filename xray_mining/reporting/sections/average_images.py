"""Average images by sex and age band."""

import polars as pl

from xray_mining.reporting.results import Results
from xray_mining.reporting.section import Block, Gallery, Picture, Section

ORDER = 85


def applies(results: Results) -> bool:
    """Always."""
    return True


def build(results: Results) -> Section:
    """A row of averages a sex."""
    frame = results.pictures.filter(pl.col("section") == "average_images").sort("order")
    title = "Average images"
    least = results.notes.least_patients
    if frame.is_empty():
        return Section(
            "average-images",
            title,
            f"No average is drawn: no band of age and sex holds {least} patients with pictures.",
        )
    rows: dict[str, list[Picture]] = {}
    for row in frame.iter_rows(named=True):
        who = row["label"].partition(",")[0]
        detail = f"{row['images']:,} images"
        alternative = f"Average radiograph of {row['label'].lower()}, {detail}"
        rows.setdefault(who, []).append(Picture(row["png"], row["label"], alternative, detail))
    galleries: list[Block] = [
        Gallery(f"average-{who.lower().replace(' ', '-')}", who, tuple(pictures)) for who, pictures in rows.items()
    ]
    return Section(
        "average-images",
        title,
        f"What a chest looks like at an age: the average over patients of the largest cohort, one radiograph each, "
        f"those nearest in age counting most. Bands of fewer than {least} patients are not drawn.",
        tuple(galleries),
    )
