"""The plan of a study: its steps in order, each with the steps that it needs."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from xray_mining.errors import UserError, unknown_name
from xray_mining.evaluation.options import RULES
from xray_mining.models.kinds import kind_of
from xray_mining.models.stated import with_nulls
from xray_mining.records.cohort import FROZEN_FORMAT, Target
from xray_mining.sets.code import digest_of_code
from xray_mining.sets.measure import dependencies_of
from xray_mining.stated_files import contents, placeless, text_of
from xray_mining.study.instruments import KINDS as INSTRUMENTS
from xray_mining.study.instruments import InstrumentKind
from xray_mining.study.options import Study
from xray_mining.study.spread import WHOLE, Slice, Spread, cut
from xray_mining.workspace import digest_of, versions


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a study: one job of the pipeline, one summary file."""

    name: str
    """stage, or stage/key; also the name of the summary file."""
    stage: str
    keys: tuple[str, ...]
    after: tuple[str, ...]
    digest: str
    """Digest of the step's options in the study file; the step runs again when it changes."""
    threads: int = 1
    slice: Slice = WHOLE
    """The part of the step's work that it does."""
    share: float = 1.0
    """Share of the step's work: 0 for a step that only gathers the results of its slices."""


def plan(study: Study, archive_state: str = "", spread: Spread | None = None) -> tuple[Step, ...]:
    """List the study's steps.

    A step runs again if its own digest or the summary of a step that it needs has changed, and only then.

    Args:
        study: The study.
        archive_state: Digest of the archive's file list; a change makes ingest run again.
        spread: How steps are cut into slices; None for whole steps.

    Returns:
        The steps, each with the names of the steps that it needs.

    Raises:
        UserError: If a file that the study names is missing.

    Example:
        >>> from xray_mining.study.options import read_study
        >>> [step.name for step in plan(read_study(study_file))][:4]
        ['ingest', 'cohort/c', 'features/f.c', 'train/ridge']
    """
    steps = _whole_steps(study, archive_state)
    return tuple(steps if spread is None else cut(steps, study, spread))


def _whole_steps(study: Study, archive_state: str) -> list[Step]:
    from xray_mining.features.instrument import Features
    from xray_mining.models.kinds.null import PICTURE_NULLS

    made_by = dict(versions())

    def digest(*values: object) -> str:
        hashed = [placeless(each) if isinstance(each, BaseModel) else each for each in values]
        return digest_of([hashed, made_by])

    mapping = text_of(study.ingest, "mapping")
    steps = [Step("ingest", "ingest", (), (), digest(study.ingest, archive_state, mapping), threads=2)]
    for key, cohort in study.cohorts.items():
        text = text_of(cohort, "query")
        steps.append(Step(f"cohort/{key}", "cohort", (key,), ("ingest",), digest(cohort, text, FROZEN_FORMAT)))
    picture_nulls = [digest_of_code(Features(each).sources) for each in PICTURE_NULLS.values()]
    trains = []
    for name, experiment in study.experiments.items():
        model = kind_of(experiment)
        after = [f"cohort/{experiment.cohort}"]
        for section, keys in model.sets(experiment).items():
            kind, sets = INSTRUMENTS.find(section), study.sets(section)
            for key in keys:
                step = f"{kind.stage}/{key}.{experiment.cohort}"
                after.append(step)
                if step not in {each.name for each in steps}:
                    need = (f"cohort/{experiment.cohort}",)
                    own = digest(sets[key], _dependencies(kind, sets[key]))
                    steps.append(Step(step, kind.stage, (key, experiment.cohort), need, own, threads=2))
        after += [f"train/{member}" for member in model.members(experiment)]
        own = digest(experiment, study.design, contents(experiment).get("weights", ""))
        trains.append(Step(f"train/{name}", "train", (name,), tuple(after), own, threads=model.threads(experiment)))
    # The null models that every cohort and target gets are small, so one job fits all five; five jobs would spend most
    # of their time on starting.
    for cohort, target in dict.fromkeys((each.cohort, each.target) for each in study.experiments.values()):
        nulls = tuple(
            name
            for name, each in with_nulls(study.experiments).items()
            if name not in study.experiments and (each.cohort, each.target) == (cohort, target)
        )
        own = digest(cohort, target, nulls, study.design, picture_nulls)
        trains.append(Step(f"train/nulls.{cohort}.{target}", "train", nulls, (f"cohort/{cohort}",), own))
    steps += trains
    # The page prints the whole study file and attributes of the members, so evaluate depends on both.
    after_all = (*(f"cohort/{key}" for key in study.cohorts), *(each.name for each in trains))
    steps.append(Step("evaluate", "evaluate", (), after_all, digest(study.digest, study.absent, RULES), threads=2))
    steps.append(Step("report", "report", (), ("evaluate",), digest("page")))
    return steps


def _dependencies(kind: InstrumentKind[Any], options: BaseModel) -> dict[str, Any]:
    """All that a set's numbers depend on, as in its name; empty if an input is missing, which its step reports."""
    try:
        return dependencies_of(kind.make(options))
    except UserError:
        return {}


def refuse_unknown_names(study: Study) -> None:
    """UserError for an unknown cohort, parameter, target, feature family, backbone or loss, before any step runs."""
    from xray_mining.catalog.cohort import read_query

    targets: dict[str, dict[str, Target]] = {}
    for key, cohort in study.cohorts.items():
        asked = read_query(cohort.query)
        asked.header.values(cohort.parameters, f"cohorts.{key}")
        targets[key] = {each.name: each for each in asked.header.targets}
    for name, experiment in study.experiments.items():
        if experiment.target not in targets[experiment.cohort]:
            where = f"experiments.{name}.target"
            raise unknown_name(where, experiment.target, targets[experiment.cohort])
        model = kind_of(experiment)
        model.refuse(f"experiments.{name}", experiment, targets[experiment.cohort][experiment.target])
        for member in model.members(experiment):
            other = study.experiments[member]
            if (other.cohort, other.target) != (experiment.cohort, experiment.target):
                raise UserError(
                    f"experiments.{name}.members: '{member}' has another cohort or target; an ensemble's members share "
                    f"both"
                )
    for section, kind in INSTRUMENTS.every().items():
        for options in study.sets(section).values():
            kind.refuse(options)
