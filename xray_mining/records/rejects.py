"""rejects: files that could not be used, with stage and reason."""

from xray_mining.records.record import Record, choice, count, key, text

STAGES = ("list", "open", "header", "identity", "decode", "grey", "merge")


class Rejects(Record):
    """A broken file becomes a row here and does not stop the run."""

    table = "rejects"
    question = "one file or frame that cannot be used"

    file_key = key("keyed digest of the file's relative path and archive member")
    archive = text("the archive's given name")
    shard = count("shard of the archive's file list")
    position = count("position within the shard")
    frame = count("frame number within the file; 0 if no frame was reached")
    stage = choice("where it failed", STAGES)
    reason = text("reason code, as empty_file, truncated_pixels, not_chest")
    sentence = text("one plain sentence, without names and paths")
    bytes = count("size of the file", "bytes")
