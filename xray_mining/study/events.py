"""Events that the jobs of a run report: one JSON line for each event, in one file."""

import json
import os
from pathlib import Path


def tell(events: str | Path, event: str, **fields: object) -> None:
    """Append one event to the file that `run` follows."""
    line = json.dumps({"event": event, **fields}, ensure_ascii=False)
    # Append each line with one write, so that the lines of parallel jobs are not mixed.
    handle = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, (line + "\n").encode())
    finally:
        os.close(handle)
