"""file_events: files that changed or vanished since an earlier run of ingest."""

from xray_mining.records.record import Record, choice, key, text


class FileEvents(Record):
    """Rows of vanished files stay in the catalog; new cohorts exclude them."""

    table = "file_events"
    question = "one change of a file between two runs of ingest"

    file_key = key("keyed digest of the file's relative path and archive member")
    archive = text("the archive's given name")
    run = text("the run that saw it, as in ingest_runs")
    event = choice("what happened", ("vanished", "changed", "returned"))
