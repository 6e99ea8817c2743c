"""One step of a study, done: it calls the stage's own function and writes the step's summary."""

import json
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xray_mining.errors import UserError, unknown_name
from xray_mining.study.options import Study, read_study
from xray_mining.study.plan import plan
from xray_mining.workspace import Workspace, digest_of, digest_of_frame, write_json


@dataclass(frozen=True, slots=True)
class Done:
    """What a step leaves: a digest of its result, the files that must be there, one sentence for the terminal."""

    digest: str
    files: tuple[str, ...]
    sentence: str


def perform(study_file: str, name: str, root: Path, events: Path, archive: Path | None, given: str, jobs: int) -> None:
    """Do the named step and write steps/STUDY/NAME.json; every start, end and failure goes to `events` as a JSON line.

    The summary holds digests and no times, so that a step which gave the same again makes no later step run.
    """
    study = read_study(study_file)
    workspace = Workspace.open(root)
    step = {each.name: each for each in plan(study)}.get(name)
    if step is None:
        raise unknown_name(f"study {study.study}, step", name, [each.name for each in plan(study)])
    say = _teller(events, name)
    started = time.monotonic()
    say("started", 0, "")
    try:
        done = _STAGES[step.stage](study, workspace, step.keys, archive, given, jobs)
    except UserError as error:
        say("failed", error.exit_status, str(error))
        raise
    except KeyboardInterrupt:
        raise
    except Exception as error:
        log = workspace.private / "snakemake" / study.study / f"failed-{name.replace('/', '-')}.txt"
        log.write_text(traceback.format_exc(), encoding="utf-8")
        say("failed", 3, f"{type(error).__name__}: {error}; the details are in {log.name} in the private folder")
        raise
    summary = {"step": name, "digest": done.digest, "files": list(done.files)}
    write_json(summary, workspace.root / "steps" / study.study / f"{name}.json")
    say("done", 0, done.sentence, time.monotonic() - started)


def _teller(events: Path, step: str) -> Callable[..., None]:
    def say(event: str, status: int, sentence: str, seconds: float = 0.0) -> None:
        line = json.dumps(
            {"step": step, "event": event, "status": status, "sentence": sentence, "seconds": seconds},
            ensure_ascii=False,
        )
        # One write of one line: jobs side by side do not mix their lines.
        handle = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, (line + "\n").encode())
        finally:
            os.close(handle)

    return say
