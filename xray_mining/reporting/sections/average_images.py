"""Average images by sex and age band."""

import polars as pl

from xray_mining.reporting.results import Results
from xray_mining.reporting.section import Block, Gallery, Picture, Section

ORDER = 85


def applies(results: Results) -> bool:
    """Always."""
    return True


def build(results: Results) -> Section:
    """One gallery of averages for each sex."""
    frame = results.pictures.filter(pl.col("section") == "average_images").sort("order")
    title = "Average images"
    least = results.notes.least_patients
    if frame.is_empty():
        return Section(
            "average-images",
            title,
            f"There are no average images: no age band of a sex has {least} patients with pictures.",
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
        f"Average radiographs by sex and age: one radiograph of each patient of the largest cohort, with more weight "
        f"for patients nearer to the age. Age bands of fewer than {least} patients are left out.",
        tuple(galleries),
    )
