"""The experiments of a study: options of all kinds of model, added null models, and the order of training."""

from collections.abc import Mapping, Sequence
from itertools import chain, count
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from xray_mining.errors import UserError
from xray_mining.models.kinds import KINDS, kind_of
from xray_mining.models.options import Options

if TYPE_CHECKING:
    ExperimentOptions = Options
else:
    # Built from the registry, so that a study file can name a new kind of model without a change here.
    ExperimentOptions = Annotated[
        Union[tuple(kind.options for kind in KINDS.every().values())],  # noqa: UP007
        Field(discriminator="model"),
    ]


def with_nulls(experiments: Mapping[str, Options]) -> dict[str, Options]:
    """The experiments and the null models of every cohort and target; null models in the study are not added again."""
    every = dict(experiments)
    stated = list(experiments.values())
    for cohort, target in dict.fromkeys((each.cohort, each.target) for each in stated):
        for kind in KINDS.every().values():
            for options in kind.by_itself(cohort, target):
                if options not in stated:
                    every[_free_name(f"{kind.name}_{options.model}", cohort, target, every)] = options
    return every


def _free_name(begin: str, cohort: str, target: str, taken: Mapping[str, Options]) -> str:
    """An unused name for an added experiment; a short one if the target's name contains the cohort's.

    Two experiments can want one name: cohorts `age` and `years` the short name of target age_years, or cohort `a` with
    target `b_c` the long name of cohort `a_b` with target `c`. The later one gets the longer name, or a number.
    """
    long = f"{begin}_{cohort}_{target}"
    first = f"{begin}_{target}" if cohort in target else long
    return next(name for name in chain((first, long), (f"{long}_{n}" for n in count(2))) if name not in taken)


def experiment_order(experiments: Mapping[str, Options]) -> Sequence[str]:
    """Names of experiments in the order of training: an ensemble after its members."""
    done: dict[str, None] = {}
    waiting = dict(with_nulls(experiments))
    while waiting:
        ready = [
            name for name, each in waiting.items() if all(member in done for member in kind_of(each).members(each))
        ]
        if not ready:
            raise UserError(f"experiments.{next(iter(waiting))}: ensembles are members of each other; remove the cycle")
        for name in ready:
            done[name] = None
            del waiting[name]
    return list(done)
