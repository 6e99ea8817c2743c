"""mask_faults: masks of an archive that could not be used."""

from xray_mining.records.record import Record, choice, count, key, text

MASK_FAULTS = ("missing", "unreadable", "other_size", "other_shape", "coloured", "empty")


class MaskFaults(Record):
    """A mask whose shape differs from its picture's is never stretched to fit; it gets a row here."""

    table = "mask_faults"
    question = "one mask file of a kept radiograph that was not used, and why"

    image_key = key("the radiograph")
    archive = text("the archive's given name")
    shard = count("shard of the archive's file list")
    structures = text("the structures it outlines, separated by commas")
    reason = choice("why it was not used", MASK_FAULTS)
    sentence = text("one plain sentence, without names and paths")
