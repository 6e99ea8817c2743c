"""ledger: every run of a stage, with its inputs, outputs, time and versions."""

import json
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dataframely as dy

from xray_mining.records.record import Record, choice, number, text
from xray_mining.workspace import Workspace, versions


class Ledger(Record):
    """Commands are written without paths: the real command line is in the private folder."""

    table = "ledger"
    home = "results"
    question = "one run of one stage"

    run = text("run id", primary_key=True)
    stage = text("ingest, cohort, features, embed, train, evaluate, report, …")
    subject = text("its object: an archive's given name, a cohort, study/experiment")
    command = text("the command, with given names instead of paths")
    started = dy.Datetime(time_unit="us", description="start, UTC")
    seconds = number("duration", "s", nullable=False, min=0)
    inputs = text("JSON: name of each input → its digest")
    outputs = text("JSON: name of each output → its digest")
    options = text("JSON of the options, including seeds")
    versions = text("JSON of package versions")
    outcome = choice("how it ended", ("done", "failed", "interrupted"))


@dataclass(slots=True)
class RunNotes:
    """Digests of inputs and outputs that a stage notes for the ledger while it runs."""

    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


@contextmanager
def record_run(
    workspace: Workspace, stage: str, subject: str, command: str, options: object = None
) -> Generator[RunNotes]:
    """Write one ledger row when the block ends, also after an error or an interruption."""
    notes = RunNotes()
    started, clock = datetime.now(UTC), time.monotonic()
    run = f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    outcome = "failed"
    try:
        yield notes
        outcome = "done"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    finally:
        row = {
            "run": run,
            "stage": stage,
            "subject": subject,
            "command": command,
            "started": started.replace(tzinfo=None),
            "seconds": time.monotonic() - clock,
            "inputs": json.dumps(notes.inputs, sort_keys=True),
            "outputs": json.dumps(notes.outputs, sort_keys=True),
            "options": json.dumps(options, sort_keys=True, default=str),
            "versions": json.dumps(versions(), sort_keys=True),
            "outcome": outcome,
        }
        Ledger.write(Ledger.from_rows([row]), workspace.ledger / f"{run}.parquet")
