"""pixels: where the standardised picture of a kept radiograph is stored, and how it was made."""

import dataframely as dy

from xray_mining.records.record import Record, choice, count, key, number, text


class Pixels(Record):
    """One picture of a pixel store: a square of side_px, bright = dense (MONOCHROME2)."""

    table = "pixels"
    question = "one standardised picture in a pixel store"

    image_key = key("the radiograph", primary_key=True)
    store = dy.String(primary_key=True, description="the pixel store: its name is the digest of the grey options")
    archive = text("the archive's given name; archive and shard name the raw file")
    shard = count("shard of the archive's file list")
    offset = count("first byte of the picture in its raw shard", "bytes")
    side_px = count("height and width of the picture", "pixels", min=1)
    value_type = choice("type of a stored value", ("uint8", "uint16"))
    content_left = number("left edge of the image within the padded square", "store pixels", nullable=False)
    content_top = number("top edge of the image within the padded square", "store pixels", nullable=False)
    content_width = number("width of the image within the padded square", "store pixels", nullable=False)
    content_height = number("height of the image within the padded square", "store pixels", nullable=False)
    store_spacing_mm = number("distance of pixel centres in the store", "mm", min=0)
    window_source = choice("source of the grey window", ("voi_lut", "window", "percentiles", "full_range"))
    inverted = dy.Bool(description="the values were inverted, so that bright is dense")
    clipped_fraction = number("share of the picture's pixels outside the window", nullable=False, min=0, max=1)
    decoder = text("decoder that read the values, with its version")
