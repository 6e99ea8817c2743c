"""What the jobs of a run tell it: one JSON line an event, in one file."""

import json
import os
from pathlib import Path


def tell(events: str | Path, event: str, **fields: object) -> None:
    """Append one event to the file that `run` follows."""
    line = json.dumps({"event": event, **fields}, ensure_ascii=False)
    # One write of one line: jobs side by side do not mix their lines.
    handle = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, (line + "\n").encode())
    finally:
        os.close(handle)
