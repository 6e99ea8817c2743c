"""duplicates: files that hold the same picture as a kept file."""

from xray_mining.records.record import Record, choice, count, key, text


class Duplicates(Record):
    """Found by merge, because workers cannot see other shards."""

    table = "duplicates"
    question = "one file or frame that was discarded because an earlier one holds the same picture"

    instance_key = key("keyed digest of SOPInstanceUID and frame")
    study_key = key("its study")
    patient_key = key("its patient")
    file_key = key("its file")
    archive = text("the archive's given name")
    shard = count("shard of the archive's file list")
    image_key = key("the kept radiograph")
    reason = choice("what is equal", ("same_instance", "same_pixels"))
