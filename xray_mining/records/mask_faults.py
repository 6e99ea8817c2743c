"""mask_faults: masks that came with an archive and could not be taken."""

from xray_mining.records.record import Record, choice, count, key, text

MASK_FAULTS = ("missing", "unreadable", "other_size", "other_shape", "coloured", "empty")


class MaskFaults(Record):
    """A mask that does not fit its picture is never stretched into it."""

    table = "mask_faults"
    question = "one mask file of a kept radiograph that was not taken, and why"

    image_key = key("the radiograph")
    archive = text("the archive's given name")
    shard = count("shard of the archive's file list")
    structures = text("what it was to outline, with commas between")
    reason = choice("why it was not taken", MASK_FAULTS)
    sentence = text("one plain sentence, without names and paths")
