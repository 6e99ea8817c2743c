"""boxes: annotated rectangles on radiographs."""

from xray_mining.records.record import Record, key, number, text


class Boxes(Record):
    """In pixels of the store: a box is scaled and padded together with its picture."""

    table = "boxes"
    question = "one rectangle on a radiograph"

    image_key = key("the radiograph")
    name = text("what it marks")
    x = number("left edge", "store pixels", nullable=False)
    y = number("top edge", "store pixels", nullable=False)
    width = number("width", "store pixels", nullable=False, min=0)
    height = number("height", "store pixels", nullable=False, min=0)
    source = text("who drew it")
