"""Perform one step of a study: call the function of its stage, and write the step's summary."""

import hashlib
import json
import os
import platform
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xray_mining import progress
from xray_mining.errors import UserError, unknown_name
from xray_mining.models.notes import FITS
from xray_mining.records.cohort import FrozenCohort
from xray_mining.records.predictions import Predictions
from xray_mining.study.events import tell
from xray_mining.study.instruments import KINDS as INSTRUMENTS
from xray_mining.study.instruments import section_of
from xray_mining.study.options import Study, read_study
from xray_mining.study.plan import plan
from xray_mining.study.spread import WHOLE, Slice, Spread
from xray_mining.study.summaries import summarised
from xray_mining.workspace import MARKER, Workspace, digest_of, digest_of_file, digest_of_frame

if TYPE_CHECKING:
    from xray_mining.archive.source import Source


@dataclass(frozen=True, slots=True)
class Done:
    """Result of a step: a digest, the files that must exist, and one sentence for the terminal."""

    digest: str
    files: tuple[str, ...]
    sentence: str
    whole: bool = True
    """Whether the step did all of its work now, so that its time is typical of such steps."""


@dataclass(frozen=True, slots=True)
class Job:
    """Values that every job gets from `run`."""

    archive: "Source | None"
    given_name: str
    jobs: int
    slice: Slice = WHOLE
    """The part of the step's work that this job does."""


def perform(configuration: Path, name: str, jobs: int) -> None:
    """Do the named step and write its summary steps/STUDY/NAME.json; append its start, end or failure to the events.

    The summary has digests but no times, so that a step with the same result makes no later step run again.

    Args:
        configuration: The JSON file that `run` wrote for all jobs: study, archive and its state, name, workspace,
            events.
        name: The step, as in `plan`.
        jobs: Number of processes that the step may use.
    """
    from xray_mining.archive.source import source_at

    # A job is a process of its own, so it reads the study again and checks that the plan has the step.
    given = json.loads(configuration.read_text(encoding="utf-8"))
    study = read_study(given["study"], [Path(given["cwd"])])
    workspace = Workspace.open(Path(given["workspace"]))
    steps = {each.name: each for each in plan(study, given["archive_state"], spread_of(given))}
    if name not in steps:
        raise unknown_name(f"study {study.study}, step", name, steps)
    step = steps[name]
    job = Job(source_at(given["archive"]) if given["archive"] else None, given["name"], jobs, step.slice)
    say = _teller(Path(given["events"]), name)
    # Without this thread a killed `run` would leave jobs that hold locks, and the next `run` would wait for them.
    threading.Thread(target=_end_with, args=(given["run"],), daemon=True).start()
    started = time.monotonic()
    say("started", 0, "")
    progress.report_to(lambda text: say("going", 0, text))
    try:
        with summarised(workspace, study.study, step) as summary:
            done = _stage(step.stage)(study, workspace, step.keys, job)
            summary.update(step=name, digest=done.digest, files=list(done.files))
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
    say("done", 0, done.sentence, time.monotonic() - started, done.whole)


def spread_of(configuration: Mapping[str, Any]) -> Spread | None:
    """How `run` cut the plan into slices, from the JSON that it wrote for its jobs."""
    return Spread(**configuration["spread"]) if configuration.get("spread") else None


def own_process() -> dict[str, Any]:
    """The identity of this process: machine, number and start time."""
    import psutil

    return {"machine": platform.node(), "pid": os.getpid(), "born": psutil.Process().create_time()}


def _end_with(run: dict[str, Any]) -> None:
    """Interrupt this job when the `run` that started it has ended, so that `run` can be repeated immediately.

    A job on another machine cannot see that process, so it continues to its end.
    """
    import psutil

    if run["machine"] != platform.node():
        return
    while True:
        time.sleep(1.0)
        try:
            process = psutil.Process(run["pid"])
            # A killed run stays in the process table as a zombie until its parent collects it, which may never happen.
            alive = process.create_time() == run["born"] and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            alive = False
        if not alive:
            os.kill(os.getpid(), signal.SIGINT)
            return


def _teller(events: Path, step: str) -> Callable[..., None]:
    def say(event: str, status: int, sentence: str, seconds: float = 0.0, whole: bool = True) -> None:
        tell(events, event, step=step, status=status, sentence=sentence, seconds=seconds, whole=whole)

    return say


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """State of an archive's files, found without opening any."""

    digest: str
    """Digest of the file list (names, sizes, modification times); an empty text if there is no archive."""
    files: int = 0
    bytes: int = 0


def archive_state(archive: "Source | None") -> ArchiveState:
    """The state of an archive's files; UserError if the archive cannot be read."""
    if archive is None:
        return ArchiveState("")
    from xray_mining.archive.listing import walk

    archive.check()
    total = hashlib.sha256()
    files = size = 0
    for file in walk(archive):
        total.update(repr(file).encode())
        files += 1
        size += max(file.bytes, 0)
    return ArchiveState(total.hexdigest()[:32], files, size)


def _ingest(study: Study, workspace: Workspace, keys: tuple[str, ...], job: Job) -> Done:
    from xray_mining.catalog.merge import merge, read_about
    from xray_mining.ingest.ingest import IngestRequest, ingest

    if job.archive is None:
        if not workspace.settings.archives:
            raise UserError("the workspace has no archive; name one with --archive")
        merge(workspace)
        about = read_about(workspace.catalog)
        return Done(about["digest"], ("catalog.duckdb",), "the archives of the workspace, as they are", whole=False)
    request = IngestRequest(job.archive, name=job.given_name or None, jobs=job.jobs, shards=job.slice.shards)
    result = ingest(workspace, request, study.ingest)
    if not job.slice.is_whole:
        # The gathering step merges. The archive's state is in the digests of both steps, so a change makes both run.
        said = f"{result.files_now:,} files read now"
        return Done(digest_of(job.slice.name), (MARKER,), said, whole=result.files_now > 0)
    merge(workspace)
    about = read_about(workspace.catalog)
    said = f"{result.seen:,} seen, {result.kept:,} kept, {result.rejected:,} rejected"
    return Done(about["digest"], ("catalog.duckdb",), said, whole=result.files_now > 0)


def _cohort(study: Study, workspace: Workspace, keys: tuple[str, ...], job: Job) -> Done:
    from xray_mining.catalog.cohort import freeze

    options = study.cohorts[keys[0]]
    name = study.cohort_name(keys[0])
    cohort = freeze(workspace, options.query, name, options.parameters, options.folds, options.salt)
    for experiment in study.experiments.values():
        if experiment.cohort == keys[0]:
            # Refuses a target without enough labelled members before anything is fitted.
            cohort.target(experiment.target)
    folder = workspace.cohort(name, cohort.digest).relative_to(workspace.root)
    images, patients = cohort.flow[-1].images, cohort.flow[-1].patients
    said = f"{images:,} images of {patients:,} patients"
    # The same members can have other metadata, pictures and flow after the archive was read again.
    digest = digest_of([cohort.digest, cohort.catalog_digest, cohort.store, cohort.sql, cohort.parameters])
    return Done(digest, (f"{folder}/cohort.json", f"{folder}/cohort_members.parquet"), said)


def _measured(section: str, study: Study, workspace: Workspace, keys: tuple[str, ...], job: Job) -> Done:
    from xray_mining.sets.measure import measure

    instrument = INSTRUMENTS.find(section).make(study.sets(section)[keys[0]])
    cohort = FrozenCohort.load(workspace, study.cohort_name(keys[1]))
    made = measure(workspace, cohort, keys[0], instrument, jobs=job.jobs, shards=job.slice.shards)
    slice_name = [] if job.slice.is_whole else [job.slice.name]
    digest = digest_of([made.set, cohort.digest, *slice_name])
    return Done(digest, (f"{made.kind}/{made.set}/set.json",), made.lines()[0], whole=not made.kept)


def _train(study: Study, workspace: Workspace, keys: tuple[str, ...], job: Job) -> Done:
    from xray_mining.models.experiment import run

    if not job.slice.is_whole:
        return _train_slice(study, workspace, keys[0], job.slice)
    made = [run(workspace, study, name) for name in keys]
    folders = [workspace.experiment(study.study, name) for name in keys]
    digests = [digest_of_frame(Predictions.read(folder / "predictions")) for folder in folders]
    parts = [path for folder in folders for path in sorted((folder / "predictions").glob("*.parquet"))]
    files = tuple(str(path.relative_to(workspace.root)) for path in [f / "experiment.json" for f in folders] + parts)
    said = (
        made[0].lines()[0] if len(made) == 1 else f"{len(made)} null models, {sum(each.fitted for each in made)} fits"
    )
    return Done(digest_of(digests), files, said, whole=not any(each.kept for each in made))


def _train_slice(study: Study, workspace: Workspace, name: str, slice: Slice) -> Done:
    """One fit of an experiment; nothing to do if the cohort lacks the rotation, because its file gives the split."""
    from xray_mining.models.experiment import run

    cohort = FrozenCohort.load(workspace, study.cohort_name(study.experiments[name].cohort))
    if slice.rotation is not None and slice.rotation >= cohort.rotations():
        return Done(digest_of(slice.name), (), f"{cohort.name} has no rotation {slice.rotation}", whole=False)
    made = run(workspace, study, name, slice.rotation, slice.seed)
    folder = workspace.experiment(study.study, name)
    part = folder / "predictions" / f"{slice.name}.parquet"
    files = tuple(str(path.relative_to(workspace.root)) for path in (part, folder / FITS / f"{slice.name}.json"))
    return Done(digest_of_frame(Predictions.read([part])), files, made.lines()[0], whole=not made.kept)


def _evaluate(study: Study, workspace: Workspace, keys: tuple[str, ...], job: Job) -> Done:
    from xray_mining.study.scored import evaluate_study

    made = evaluate_study(workspace, study)
    # The page also prints the study file, which is not part of the estimates.
    digest = digest_of([made.digest, study.digest])
    return Done(digest, (f"evaluations/{study.study}/study.json",), made.counts)


def _report(study: Study, workspace: Workspace, keys: tuple[str, ...], job: Job) -> Done:
    from xray_mining.reporting.command import report

    made = report([study.study], None, workspace.root)
    page = workspace.report(study.study).relative_to(workspace.root)
    # `run` prints the answers at its end; the step prints only the path of the page.
    return Done(digest_of_file(workspace.report(study.study)), (str(page),), made.lines()[-1])


def _stage(name: str) -> Callable[[Study, Workspace, tuple[str, ...], Job], Done]:
    """The function that does the steps of a stage."""
    section = section_of(name)
    return partial(_measured, section) if section else _STAGES[name]


_STAGES: dict[str, Callable[[Study, Workspace, tuple[str, ...], Job], Done]] = {
    "ingest": _ingest,
    "cohort": _cohort,
    "train": _train,
    "evaluate": _evaluate,
    "report": _report,
}
