"""Run a whole study through Snakemake: start it, follow its steps, report progress and failures."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xray_mining.errors import CheckFailed
from xray_mining.records.answers import Answer, Answers, FailedCheck
from xray_mining.study.expected import cores, rough, together
from xray_mining.study.options import Study
from xray_mining.study.perform import ArchiveState, own_process
from xray_mining.study.plan import plan, refuse_unknown_names
from xray_mining.study.remaining import Remaining
from xray_mining.study.snakemake import Pipeline, find_profile
from xray_mining.study.spread import Spread
from xray_mining.study.summaries import only_valid
from xray_mining.study.work import Extent, extent_of
from xray_mining.workspace import Workspace, lock, sweep

if TYPE_CHECKING:
    from xray_mining.archive.source import Source

PROGRESS_SECONDS = 60.0
"""How often the progress of a long step is printed where standard error is not a terminal."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The closing summary of `run`."""

    study: str
    steps_done: int
    steps_kept: int
    seconds: float
    checks: tuple[FailedCheck, ...]
    """Failed checks that affect the whole study."""
    answers: tuple[Answer, ...]
    """One answer for each task, with the failed checks that affect it; as in answer.json."""
    report: str

    def lines(self) -> list[str]:
        """The failed checks, the answers, and the path of the page."""
        counts = f"{self.steps_done} steps done, {self.steps_kept} kept from an earlier run, {self.seconds:.0f} s"
        return [
            "",
            *Answers(self.checks, self.answers).lines(),
            "",
            f"{self.study}: {counts}",
            f"report: {self.report}",
        ]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step that would run."""

    step: str
    seconds: float
    """Roughly estimated time."""


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """The summary of `run --dry-run`."""

    study: str
    steps: tuple[PlannedStep, ...]
    """Steps in the order in which they would run one after the other."""
    steps_kept: int
    seconds: float
    """Roughly estimated time of all steps on this machine."""
    report: str
    """Path of the page; a dry run does not write it."""

    def lines(self) -> list[str]:
        """One line for each step, then the total time; one sentence if there is nothing to do."""
        if not self.steps:
            return [f"{self.study}: nothing to do, all {self.steps_kept} steps are done; the page is {self.report}"]
        count = f"{len(self.steps)} {'step' if len(self.steps) == 1 else 'steps'} to do"
        return [
            *(f"would do  {rough(each.seconds):<14}  {each.step}" for each in self.steps),
            f"{self.study}: {count}, {self.steps_kept} kept from an earlier run; {rough(self.seconds)} in all, a rough "
            f"guess for this machine",
        ]


def conduct(
    study: Study,
    *,
    study_file: str,
    workspace: Workspace,
    archive: "Source | None",
    name: str,
    archive_state: ArchiveState,
    profile: str,
    dry_run: bool,
    pieces: int = 0,
) -> RunSummary | PlanSummary:
    """Run all steps of the study that are not done yet, or list them.

    Args:
        study: The study.
        study_file: The name or path that it was read from.
        workspace: The workspace.
        archive: The archive to ingest; None uses the archives of the workspace.
        name: The archive's name; an empty text uses the name of its adapter.
        archive_state: State of the archive's files, from `archive_state`.
        profile: A shipped profile, or a folder with Snakemake's config.yaml.
        dry_run: Whether to list the steps without running them.
        pieces: Most slices into which ingest and sets are cut; experiments are cut into their fits. 0 cuts nothing.

    Returns:
        The answers of the study, or with `dry_run` the steps that would run.

    Raises:
        UserError: If the study file is wrong, or another `run` uses the workspace.
        CannotFinish: If a step failed; the sentence is that of the step.

    Example:
        >>> from xray_mining.study.options import read_study
        >>> planned = conduct(
        ...     read_study(study_file), study_file=study_file, workspace=workspace, archive=None, name="",
        ...     archive_state=ArchiveState(""), profile="local", dry_run=True,
        ... )
        >>> [each.step for each in planned.steps][-2:]
        ['evaluate', 'report']
    """
    study.refuse_missing()
    refuse_unknown_names(study)
    spread = Spread(pieces, _shards(workspace, study, archive_state)) if pieces else None
    steps = plan(study, archive_state.digest, spread)
    pipeline = Pipeline(workspace.private / "snakemake" / study.study, find_profile(profile))

    def look() -> Extent:
        return extent_of(workspace, study, steps, archive_state, _given_name(workspace, archive, name))

    # Only one `run` at a time may plan and execute steps in a workspace.
    with (
        lock(workspace.private / "run.lock", wait=False) as held,
        only_valid(workspace, study.study, steps, restore=dry_run),
    ):
        sweep(workspace.root)
        remaining = Remaining.of(study, steps, look, workspace.private / "step_times.jsonl")
        pipeline.prepare(_configuration(study_file, workspace, archive, name, archive_state, spread, remaining))
        if dry_run:
            return _planned(study, remaining, pipeline.would_make(), str(workspace.report(study.study)))
        done, seconds = _executed(pipeline, held, remaining)
    return _summary(workspace, study, done, len(steps) - done, seconds)


def _configuration(  # noqa: PLR0917  what `conduct` knows
    study_file: str,
    workspace: Workspace,
    archive: "Source | None",
    name: str,
    archive_state: ArchiveState,
    spread: Spread | None,
    remaining: Remaining,
) -> dict[str, Any]:
    """What every job of this run reads."""
    return {
        "study": study_file,
        "archive": archive.address if archive is not None else "",
        "name": name,
        "workspace": str(workspace.root),
        "archive_state": archive_state.digest,
        "spread": None if spread is None else asdict(spread),
        "priorities": remaining.expected.priorities(),
        "python": sys.executable,
        "cwd": str(Path.cwd()),
        # Jobs stop when their `run` is killed; see perform._end_with.
        "run": own_process(),
    }


def _executed(pipeline: Pipeline, held: int, remaining: Remaining) -> tuple[int, float]:
    """Run Snakemake to its end: the number of steps that it did, and seconds. Raises the sentence of a failed step."""
    started = time.monotonic()
    with pipeline.started(held) as process:
        failures, done = _follow(process, pipeline.events, remaining)
    if process.returncode != 0:
        raise pipeline.failure(failures)
    return done, time.monotonic() - started


def _summary(workspace: Workspace, study: Study, done: int, kept: int, seconds: float) -> RunSummary:
    text = (workspace.evaluation(study.study) / "answer.json").read_text(encoding="utf-8")
    answers = Answers.of(json.loads(text))
    page = str(workspace.report(study.study))
    return RunSummary(study.study, done, kept, seconds, answers.checks, answers.answers, page)


def stop_at_errors(evaluation: Path) -> None:
    """CheckFailed if a check of severity error failed: the figures exist but must not be trusted."""
    from xray_mining.records.check_results import CheckResults

    rows = CheckResults.read(evaluation / "check_results.parquet")
    failed = [row for row in rows.iter_rows(named=True) if (row["severity"], row["outcome"]) == ("error", "failed")]
    if failed:
        raise CheckFailed(f"{failed[0]['code']}: {failed[0]['sentence'].rstrip('.')}; do not trust these figures")


def _shards(workspace: Workspace, study: Study, listed: ArchiveState) -> int:
    """Number of shards of the archive to be read, from its number of files; else of the largest archive read before."""
    if listed.files:
        return -(-listed.files // study.ingest.shard_files)
    parts = workspace.root.glob("parts/*/images/*.parquet")
    return max((int(path.stem) + 1 for path in parts if path.stem.isdigit()), default=0)


def _given_name(workspace: Workspace, archive: "Source | None", name: str) -> str:
    """The name under which the archive is registered; an empty text if there is no archive or it is not registered."""
    from xray_mining.ingest.registered import address_of

    if name or archive is None:
        return name
    known = workspace.settings.archives
    return next((each for each in known if address_of(workspace, each) == archive.address), "")


def _planned(study: Study, remaining: Remaining, outputs: set[str], page: str) -> PlanSummary:
    """The steps that would run, in order, with estimated times."""
    waiting = {
        step.name: remaining.expected.seconds[step.name]
        for step in remaining.steps
        if any(each.endswith(f"/steps/{study.study}/{step.name}.json") for each in outputs)
    }
    return PlanSummary(
        study.study,
        tuple(PlannedStep(name, round(waiting[name])) for name in remaining.expected.order if name in waiting),
        len(remaining.steps) - len(waiting),
        round(together(waiting, remaining.steps, cores())),
        page,
    )


def _follow(process: "subprocess.Popen[bytes]", events: Path, remaining: Remaining) -> tuple[list[dict[str, str]], int]:
    """Print each step's start, progress and end until Snakemake ends.

    On a terminal, progress is one line that is overwritten; elsewhere one line is printed each minute.

    Returns:
        The events of failed steps, and the number of steps done.
    """
    failures: list[dict[str, str]] = []
    done, rest = 0, ""
    terminal = sys.stderr.isatty()
    printed: dict[str, float] = {}

    def say(text: str, end: str = "\n") -> None:
        # Erase the progress line before printing.
        print(("\r\x1b[K" if terminal else "") + text, end=end, file=sys.stderr, flush=True)

    with events.open(encoding="utf-8") as lines:
        while True:
            ended = process.poll() is not None
            # The last line may be incomplete: keep it until its end is written.
            *complete, rest = (rest + lines.read()).split("\n")
            for event in map(json.loads, complete):
                if event["event"] == "planned":
                    if sentence := remaining.plan(event["steps"]):
                        say(sentence)
                    continue
                step = event["step"]
                if event["event"] == "started":
                    printed[step] = time.monotonic()
                    say(f"   …  {step:<38} {remaining.start(step)}")
                elif event["event"] == "going":
                    # The time left comes first, because a narrow terminal cuts the end off.
                    text = f"   …  {step} ({remaining.left()} left in all): {event['sentence']}"
                    if terminal:
                        say(_cut(text), end="")
                    elif time.monotonic() - printed.get(step, 0.0) >= PROGRESS_SECONDS:
                        printed[step] = time.monotonic()
                        say(text)
                elif event["event"] == "done":
                    done += 1
                    remaining.end(step, float(event["seconds"]), event["whole"])
                    said = f"{float(event['seconds']):6.1f} s  {event['sentence']}"
                    say(f"{done:4d}  {step:<38} {said}")
                else:
                    failures.append(event)
            if ended:
                if terminal:
                    say("", end="")
                return failures, done
            time.sleep(0.1)


def _cut(text: str) -> str:
    """The text cut to one line of the terminal, because a wrapped line could not be overwritten."""
    width = shutil.get_terminal_size().columns - 1
    return text if len(text) <= width else text[: width - 1] + "…"
