"""A study as steps in their order, each with the steps that it needs."""

from dataclasses import dataclass

from pydantic import BaseModel

from xray_mining.errors import UserError, unknown_name
from xray_mining.evaluation.options import RULES
from xray_mining.models.kinds import kind_of
from xray_mining.models.stated import with_nulls
from xray_mining.networks.names import refuse_unknown_backbone
from xray_mining.records.cohort import FROZEN_FORMAT, Target
from xray_mining.sets.code import digest_of_code
from xray_mining.stated_files import contents, placeless, text_of
from xray_mining.study.options import Study
from xray_mining.study.spread import WHOLE, Slice, Spread, cut
from xray_mining.workspace import digest_of, versions


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a study: one job of the pipeline, one summary file."""

    name: str
    """stage, or stage/key: it names the summary file."""
    stage: str
    keys: tuple[str, ...]
    after: tuple[str, ...]
    digest: str
    """Digest of the step's options in the study file; the step runs again when it changes."""
    threads: int = 1
    slice: Slice = WHOLE
    """Which part of the step's work it does."""
    share: float = 1.0
    """Its share of that work: 0 for a step that gathers what its slices did."""


_STAGES_OF_SETS = {"features": "features", "embeddings": "embed"}
"""Section of the study file → the stage that makes its sets."""


def plan(study: Study, archive_state: str = "", spread: Spread | None = None) -> tuple[Step, ...]:
    """The study's steps in an order in which they can be done.

    A step is done again when its own digest or the content of an earlier step's summary changed, and only then.

    Args:
        study: The study.
        archive_state: Digest of the archive's file list: another one makes ingest run again.
        spread: How steps are cut into slices; None for whole steps.
    """
    steps = _whole_steps(study, archive_state)
    return tuple(steps if spread is None else cut(steps, study, spread))


def _whole_steps(study: Study, archive_state: str) -> list[Step]:
    from xray_mining.features.instrument import Features
    from xray_mining.models.embedding import Embeddings
    from xray_mining.models.kinds.null import PICTURE_NULLS

    made_by = dict(versions())

    def digest(*values: object) -> str:
        told = [placeless(each) if isinstance(each, BaseModel) else each for each in values]
        return digest_of([told, made_by])

    mapping = text_of(study.ingest, "mapping")
    steps = [Step("ingest", "ingest", (), (), digest(study.ingest, archive_state, mapping), threads=2)]
    for key, cohort in study.cohorts.items():
        text = text_of(cohort, "query")
        steps.append(Step(f"cohort/{key}", "cohort", (key,), ("ingest",), digest(cohort, text, FROZEN_FORMAT)))
    # Code that measures otherwise makes its steps run again.
    sources = {"features": lambda options: Features(options).sources, "embeddings": lambda options: Embeddings.sources}
    picture_nulls = [digest_of_code(Features(each).sources) for each in PICTURE_NULLS.values()]
    trains = []
    for name, experiment in study.experiments.items():
        model = kind_of(experiment)
        after = [f"cohort/{experiment.cohort}"]
        for section, keys in model.sets(experiment).items():
            stage, sets = _STAGES_OF_SETS[section], study.sets(section)
            for key in keys:
                step = f"{stage}/{key}.{experiment.cohort}"
                after.append(step)
                if step not in {each.name for each in steps}:
                    need = (f"cohort/{experiment.cohort}",)
                    code = digest_of_code(sources[section](sets[key]))
                    told = digest(sets[key], contents(sets[key]).get("weights", ""), code)
                    steps.append(Step(step, stage, (key, experiment.cohort), need, told, threads=2))
        after += [f"train/{member}" for member in model.members(experiment)]
        told = digest(experiment, study.design, contents(experiment).get("weights", ""))
        trains.append(Step(f"train/{name}", "train", (name,), tuple(after), told, threads=model.threads(experiment)))
    # The nulls that every cohort and target gets by itself are small: one job fits all five, where five would spend
    # their time on starting.
    for cohort, target in dict.fromkeys((each.cohort, each.target) for each in study.experiments.values()):
        nulls = tuple(
            name
            for name, each in with_nulls(study.experiments).items()
            if name not in study.experiments and (each.cohort, each.target) == (cohort, target)
        )
        told = digest(cohort, target, nulls, study.design, picture_nulls)
        trains.append(Step(f"train/nulls.{cohort}.{target}", "train", nulls, (f"cohort/{cohort}",), told))
    steps += trains
    # The page prints the whole study file and what is known of the members beside their predictions.
    after_all = (*(f"cohort/{key}" for key in study.cohorts), *(each.name for each in trains))
    steps.append(Step("evaluate", "evaluate", (), after_all, digest(study.digest, study.absent, RULES), threads=2))
    steps.append(Step("report", "report", (), ("evaluate",), digest("page")))
    return steps


def refuse_unknown_names(study: Study) -> None:
    """UserError for a cohort, parameter, target, family, backbone or loss that is unknown, before any work begins."""
    from xray_mining.catalog.cohort import read_query
    from xray_mining.features.registry import find

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
    for options in study.features.values():
        find(options.families)
    for options in study.embeddings.values():
        refuse_unknown_backbone(options.backbone)
