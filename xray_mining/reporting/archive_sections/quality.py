"""Quality flags."""

from xray_mining.reporting.archive_results import ArchiveResults, listed, said
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.section import Cell, Column, Figures, Section

ORDER = 60
_FLAGS = {
    "blank": ("blank", "hardly any grey differs from the others"),
    "saturated": ("saturated", "much of it is at either end of the greys"),
    "cut_off": ("cut off", "the chest reaches the edge"),
    "inverted": ("inverted", "black and white seem to be changed over"),
    "border": ("border", "a frame of one grey around the picture"),
    "low_resolution": ("low resolution", "fewer than 256 pixels on the longer side"),
    "not_frontal": ("not frontal", "neither PA nor AP"),
    "burned_in": ("burned-in letters", "letters in the picture: declared by the header; pictures were not examined"),
    "impossible_age": ("impossible age", "the stated age is none"),
    "bounded_age": ("bounded age", "only a bound of the age is stated, such as <5"),
    "unread_sex": ("unread sex", "the stated sex is no word that is known"),
    "several_ids": ("several ids", "an id holds several values; it was kept whole, as an id of its own"),
    "undecoded_id": ("undecoded id", "an id does not fit its character set, or had lost letters before"),
    "no_pixels": ("no pixels", "the header came without a picture"),
    "overruled_bits": ("bits of the header overruled", "the pixel data hold other bits a value"),
    "overruled_sign": ("sign of the header overruled", "signed values called unsigned, or the reverse"),
    "overruled_samples": (
        "values a pixel overruled",
        "grey called colour, or the reverse, or colours in another order",
    ),
    "overruled_colour": ("colour model overruled", "the photometric interpretation is not that of the pixel data"),
    "overruled_encoding": ("encoding overruled", "the transfer syntax is not how the file is written"),
    "overruled_frames": (
        "number of frames overruled",
        "more or fewer pictures than stated, or pages that are not read",
    ),
    "overruled_rescale": ("rescale overruled", "a slope of 0, or no number"),
    "overruled_lut": ("lookup table overruled", "a table that is not for these values, or lacks entries"),
    "overruled_window": ("window overruled", "the first window of the header does not show these values"),
    "overruled_padding": ("padding overruled", "a padding value of another sign, or nearly the whole picture"),
    "bytes_after_end": ("bytes after the end", "after the end of the picture other bytes follow"),
}


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """A bar and a row a flag, also where none carries it."""
    if not results.totals["images"]:
        return Section("quality", "Quality flags", "There is no image that could be flagged.")
    frame = results.table("quality")
    known = frame.drop_nulls("images")
    counts = [(_FLAGS[row["flag"]][0], row["images"]) for row in known.iter_rows(named=True)]
    figure = bars(
        "archive-quality-figure",
        counts,
        label="images",
        caption="Images by quality flag; an image may carry several.",
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
    looked = results.totals["images_with_picture"]
    sentence = (
        f"{looked:,} of {results.totals['images']:,} images have a picture that was looked at."
        if looked
        else "No picture was read: flags that need one (blank, saturated, cut off, inverted, border) are not known."
    )
    if looked and unknown:
        sentence += f" Nobody looked for: {', '.join(unknown)}."
    return Section("quality", "Quality flags", sentence, (Figures((figure,)), table))
