"""Sizes of the pictures in the files, and how their values are stored."""

from xray_mining.reporting.archive_results import ArchiveResults, listed, said, summed
from xray_mining.reporting.count_figures import bars
from xray_mining.reporting.section import Block, Column, Figures, Section, Table

ORDER = 40
_SYNTAXES = {
    "1.2.840.10008.1.2": "implicit little endian",
    "1.2.840.10008.1.2.1": "explicit little endian",
    "1.2.840.10008.1.2.1.99": "deflated explicit little endian",
    "1.2.840.10008.1.2.2": "explicit big endian",
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first order",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "HTJ2K lossless",
    "1.2.840.10008.1.2.4.202": "HTJ2K lossless, RPCL",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
    "1.2.840.10008.1.2.5": "RLE lossless",
}

_STATED = (("sizes", "columns"), ("bits", "bits_stored"), ("encodings", "transfer_syntax_uid"))


def applies(results: ArchiveResults) -> bool:
    """Always."""
    return True


def build(results: ArchiveResults) -> Section:
    """Sizes, bits and encodings, each as a table; bar charts of sizes and bits."""
    frame = results.table("sizes")
    title = "Sizes, bits and encodings"
    if not results.totals["images"]:
        return Section("sizes", title, "The archive has no images, so there are no sizes.")
    if all(set(results.table(name)[column]) <= {None, "unknown"} for name, column in _STATED):
        return Section("sizes", title, "No image states its size, its bits or how it is stored: no file was opened.")
    sizes = [(_size(row["columns"], row["rows"]), row["images"]) for row in frame.iter_rows(named=True)]
    bits = summed(results.table("bits"), "bits_stored")
    bits = [(words if words == "not stated" else f"{words} bits", value) for words, value in bits]
    cut = " Not all are drawn: see the note of the table." if "sizes" in results.overview.cut else ""
    drawn = []
    if sizes:
        caption = f"Images by size, width × height in pixels.{cut}"
        alternative = f"Images by size: {said(sizes)}."
        drawn.append(bars("archive-sizes-figure", sizes, label="images", caption=caption, alternative=alternative))
    if bits:
        caption, alternative = "Images by bits of a stored value.", f"Images by bits: {said(bits)}."
        drawn.append(bars("archive-bits-figure", bits, label="images", caption=caption, alternative=alternative))
    blocks: list[Block] = [*([Figures(tuple(drawn))] if drawn else []), *_tables(results)]
    return Section(
        "sizes",
        title,
        "Sizes and bits in the files. In the pixel store all pictures have the same size, and dense tissue is bright.",
        tuple(blocks),
    )


def _tables(results: ArchiveResults) -> list[Table]:
    # All three tables count images and patients, and show the share of all images.
    number, patients = Column("Images", numeric=True), Column("Patients", numeric=True)
    images = results.totals["images"]
    return [
        listed(
            results,
            "sizes",
            "Sizes",
            (
                ("columns", Column("Width, pixels")),
                ("rows", Column("Height, pixels", numeric=True)),
                ("images", number),
                ("patients", patients),
            ),
            share_of=images,
        ),
        listed(
            results,
            "bits",
            "Bits, and whether the lowest value is black or white",
            (
                ("photometric_interpretation", Column("Photometric interpretation")),
                ("bits_stored", Column("Bits", numeric=True)),
                ("images", number),
                ("patients", patients),
            ),
            words={"bits_stored": lambda value: "not stated" if value is None else str(value)},
            share_of=images,
        ),
        listed(
            results,
            "encodings",
            "Transfer syntaxes and file formats",
            (("transfer_syntax_uid", Column("Stored as")), ("images", number), ("patients", patients)),
            words={
                "transfer_syntax_uid": lambda uid: (
                    f"{_SYNTAXES[uid]} ({uid})" if uid in _SYNTAXES else uid.replace("unknown", "not stated")
                )
            },
            share_of=images,
        ),
    ]


def _size(width: int | None, height: int | None) -> str:
    return "not stated" if width is None or height is None else f"{width:,} × {height:,}"
