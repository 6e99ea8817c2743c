"""boxes: rectangles that somebody drew on a radiograph."""

from xray_mining.records.record import Record, key, number, text


class Boxes(Record):
    """In store pixels: they went through the same geometry as the picture."""

    table = "boxes"
    question = "one rectangle on a radiograph"

    image_key = key("the radiograph")
    name = text("what it marks")
    x = number("left edge", "store pixels", nullable=False)
    y = number("top edge", "store pixels", nullable=False)
    width = number("width", "store pixels", nullable=False, min=0)
    height = number("height", "store pixels", nullable=False, min=0)
    source = text("who drew it")
