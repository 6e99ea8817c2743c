"""Quality flags."""

from xray_mining.reporting.archive_results import ArchiveResults, listed, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.section import Cell, Column, Figures, Section

ORDER = 60
_FLAGS = {
    "blank": ("blank", "nearly all pixels have the same grey"),
    "saturated": ("saturated", "many pixels are fully black or fully white"),
    "cut_off": ("cut off", "the chest reaches the edge"),
    "inverted": ("inverted", "black and white seem to be exchanged"),
    "border": ("border", "a frame of one grey around the picture"),
    "low_resolution": ("low resolution", "fewer than 256 pixels on the longer side"),
    "not_frontal": ("not frontal", "neither PA nor AP"),
    "burned_in": ("burned-in letters", "letters in the picture: declared by the header; pictures were not examined"),
    "impossible_age": ("impossible age", "no person can have the stated age"),
    "bounded_age": ("bounded age", "only a limit of the age is stated, for example <5"),
    "unread_sex": ("unread sex", "the stated sex is not a known word"),
    "several_ids": ("several ids", "an id field has several values; they are kept together as one id"),
    "undecoded_id": ("undecoded id", "an id does not fit its character set, or has lost letters earlier"),
    "no_pixels": ("no pixels", "the file has a header but no picture"),
    "overruled_bits": ("bits of the header overruled", "the pixel values have another number of bits"),
    "overruled_sign": ("sign of the header overruled", "the header calls signed values unsigned, or the reverse"),
    "overruled_samples": (
        "values per pixel overruled",
        "the header calls grey colour, or the reverse, or states another order of colours",
    ),
    "overruled_colour": ("colour model overruled", "the photometric interpretation is not that of the pixel data"),
    "overruled_encoding": ("encoding overruled", "the file is not written in the stated transfer syntax"),
    "overruled_frames": (
        "number of frames overruled",
        "the file has more or fewer pictures than stated, or pages that are not read",
    ),
    "overruled_rescale": ("rescale overruled", "the slope is 0 or not a number"),
    "overruled_lut": ("lookup table overruled", "the table is for other values, or entries are missing"),
    "overruled_window": ("window overruled", "the first window of the header does not show these values"),
    "overruled_padding": (
        "padding overruled",
        "the padding value has the wrong sign, or covers nearly the whole picture",
    ),
    "bytes_after_end": ("bytes after the end", "other bytes follow the end of the picture"),
}


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """One bar and one row for each flag, even if no image has it."""
    if not results.totals["images"]:
        return Section("quality", "Quality flags", "The archive has no images, so there are no flags.")
    frame = results.table("quality")
    known = frame.drop_nulls("images")
    counts = [(_FLAGS[row["flag"]][0], row["images"]) for row in known.iter_rows(named=True)]
    figure = bars(
        "archive-quality-figure",
        counts,
        label="images",
        caption="Images by quality flag; an image may have several flags.",
        alternative=f"Images by quality flag: {said(counts)}.",
        colour="orange",
    )
    table = listed(
        results,
        "quality",
        "Quality flags",
        (
            ("flag", Column("Flag")),
            ("images", Column("Images", numeric=True)),
        ),
        words={"flag": lambda flag: Cell(*_FLAGS[flag])},
        share_of=results.totals["images"],
    )
    unknown = [_FLAGS[row["flag"]][0] for row in frame.filter(frame["images"].is_null()).iter_rows(named=True)]
    examined = results.totals["images_with_picture"]
    sentence = (
        f"The pictures of {examined:,} of {results.totals['images']:,} images were checked."
        if examined
        else "No picture was read, so flags that need one (blank, saturated, cut off, inverted, border) are unknown."
    )
    if examined and unknown:
        sentence += f" Not checked: {', '.join(unknown)}."
    return Section("quality", "Quality flags", sentence, (Figures((figure,)), table))
