"""Snakemake as a process: its command, its dry run, and the error message of a failed run."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xray_mining.errors import CannotFinish, UserError, unknown_name
from xray_mining.workspace import asset, write_json

INTERRUPT_SECONDS = 5.0
"""Time that an interrupted pipeline gets to stop by itself before it is interrupted again."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The pipeline of one study, with its own working folder."""

    home: Path
    """Working folder, in the workspace's private folder because it has paths and command lines."""
    profile: Path
    """Folder with Snakemake's config.yaml."""

    @property
    def configuration(self) -> Path:
        """The JSON file with the configuration of the pipeline and all its jobs."""
        return self.home / "config.json"

    @property
    def events(self) -> Path:
        """The file to which jobs append a JSON line when they start, end or fail."""
        return self.home / "events.jsonl"

    @property
    def log(self) -> Path:
        """The file with Snakemake's output."""
        return self.home / "log.txt"

    def prepare(self, configuration: Mapping[str, Any]) -> None:
        """Write the configuration and remove the events of an earlier run."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.events.write_text("", encoding="utf-8")
        own = {"configuration": str(self.configuration), "events": str(self.events)}
        write_json({**configuration, **own}, self.configuration)

    def would_make(self) -> set[str]:
        """Paths of the summaries that a run would write now."""
        command = [*self._command(), "--dry-run"]
        result = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
        self.log.write_text(result.stdout + result.stderr, encoding="utf-8")
        if result.returncode != 0:
            raise self.failure([])
        return {line.split("output:", 1)[1].strip() for line in result.stdout.splitlines() if "output:" in line}

    @contextlib.contextmanager
    def started(self, held: int) -> "Generator[subprocess.Popen[bytes]]":
        """The running process; an interrupt of the block waits until its jobs have stopped.

        The process inherits the lock `held`, so that no second `run` can start while it lives, even if the first
        `run` is killed.
        """
        with self.log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                self._command(), stdout=output, stderr=subprocess.STDOUT, env=_environment(), pass_fds=(held,)
            )
            try:
                yield process
            except KeyboardInterrupt:
                _interrupt(process)
                raise

    def failure(self, failures: list[dict[str, str]]) -> UserError:
        """The error with the sentence of the first failed step, else with the last line of Snakemake's log."""
        if failures:
            first = failures[0]
            error = {1: UserError, 2: UserError}.get(int(first["status"]), CannotFinish)(
                f"{first['step']}: {first['sentence']}"
            )
            error.exit_status = int(first["status"])
            return error
        text = self.log.read_text(encoding="utf-8").strip().splitlines() or ["it printed nothing"]
        return CannotFinish(
            f"the pipeline stopped: {text[-1].strip()}; its log is {self.log.name} in the private folder"
        )

    def _command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake"),
            *("--snakefile", str(asset("pipelines/Snakefile"))),
            *("--directory", str(self.home)),
            *("--workflow-profile", str(self.profile)),
            # Our own lock allows one `run` at a time and is released if it is killed; Snakemake's lock would remain.
            "--nolock",
            "--rerun-incomplete",
            *("--rerun-triggers", "mtime", "params", "input"),
            *("--configfile", str(self.configuration)),
        ]


def find_profile(name: str) -> Path:
    """The folder of a profile, given the name of a shipped one or a path; UserError if it has no config.yaml."""
    if "/" in name:
        if not Path(name, "config.yaml").is_file():
            raise UserError(f"{name}: has no config.yaml; name a folder with one, or a shipped profile")
        return Path(name).resolve()
    shipped = asset("pipelines/profiles")
    if not (shipped / name).is_dir():
        raise unknown_name("profile", name, [each.name for each in shipped.iterdir()])
    return shipped / name


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONWARNINGS": "ignore"}


def _interrupt(process: "subprocess.Popen[bytes]") -> None:
    """Wait for the pipeline to stop after an interrupt.

    Ctrl-C reaches the jobs too. A signal to this process alone does not, so it is passed on after some seconds.
    """
    import psutil

    try:
        process.wait(timeout=INTERRUPT_SECONDS)
    except subprocess.TimeoutExpired:
        for each in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.wait()
