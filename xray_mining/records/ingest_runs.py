"""ingest_runs: one row per run of ingest over an archive."""

import dataframely as dy

from xray_mining.records.record import Record, count, number, text


class IngestRuns(Record):
    """Counts of a run; after merge has found the duplicates, seen = kept + duplicate + rejected."""

    table = "ingest_runs"
    question = "one run of ingest over an archive"

    run = text("run id", primary_key=True)
    archive = text("the archive's given name")
    adapter = text("the adapter that read it")
    store = text("the pixel store written to; empty under --metadata-only")
    started = dy.Datetime(time_unit="us", description="start of the run, UTC")
    seconds = number("duration", "s", nullable=False, min=0)
    listed = count("files and archive members listed")
    ignored = count("files of a kind that holds no radiograph (DICOMDIR, tables)")
    seen = count("items read in the run: frames of files, archive members, table rows")
    kept = count("items kept before merge")
    rejected = count("items rejected before merge")
    rows_without_file = count("table rows whose file is missing")
    grey_options = text("JSON of the grey options")
    versions = text("JSON of package versions")
