"""SHORT001: how well null models that see no anatomy predict the target, compared with the best model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xray_mining.evaluation.audits._audit import LEVEL, Audit, AuditedTask, Figure, NotApplicable, Verdict
from xray_mining.evaluation.task import Model
from xray_mining.models.kind import Role, Sight
from xray_mining.statistics.comparison import holm
from xray_mining.statistics.estimate import Estimate

WORDS = {
    "metadata": "maker, site, view, year and other metadata, without the picture",
    "histogram": "only the grey levels",
    "border": "only the picture's border and padding",
}
"""Null models in sentences; other null models are called by their own names."""
SHARE = 0.5
"""A null model that sees traces of the anatomy fails the audit only if it has this share of the best model's gain."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How much better than guessing one null model is."""

    model: Model
    gain: Estimate
    p_adjusted: float
    share: float
    """Gain divided by the best model's gain; nan if that is not shown to be above 0: the ratio would be noise."""

    @property
    def guilty(self) -> bool:
        """Whether its gain is more than chance, and too large to come from traces of the anatomy that it may see."""
        return (
            self.p_adjusted <= LEVEL
            and self.gain.value > 0
            and (self.model.sight is not Sight.TRACES or self.share >= SHARE)
        )


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """All null models that could be compared with guessing."""

    measured: tuple[Shortcut, ...]
    unmeasured: tuple[str, ...]
    """Words of null models that could not be compared."""
    best_knows_nothing: bool
    """The best model is not shown to be better than guessing."""


def measure(audited: AuditedTask) -> Shortcuts | NotApplicable:
    """The gain of each null model over guessing; p adjusted by Holm over these models."""
    task, options = audited.task, audited.options
    seen = (Sight.NO_PICTURE, Sight.TRACES)
    nulls = [each for each in task.models.values() if each.role is Role.NULL and each.sight in seen]
    nulls.sort(key=lambda each: (each.kind, each.shows.words().index(each.architecture)))
    if not task.kind.gained[0]:
        return NotApplicable(f"a gain over guessing is not defined for targets of kind {task.target.kind}.")
    if not nulls:
        return NotApplicable("the study has no null experiment without anatomy, for example on metadata or the border.")
    gains = [
        (model, gain)
        for model in nulls
        if (gain := task.kind.gain(task, model, options)) is not None and np.isfinite(gain.p_value)
    ]
    if not gains:
        return NotApplicable("the null experiments cannot be compared with guessing.")
    whole = task.kind.gain(task, audited.best, options) if audited.best is not None else None
    knows = whole is not None and whole.low > 0
    adjusted = holm([gain.p_value for _, gain in gains])
    return Shortcuts(
        tuple(
            Shortcut(model, gain, float(p), gain.value / whole.value if whole and knows else float("nan"))
            for (model, gain), p in zip(gains, adjusted, strict=True)
        ),
        tuple(_called(each) for each in nulls if each.name not in {model.name for model, _ in gains}),
        not knows,
    )


def _called(model: Model) -> str:
    return WORDS.get(model.architecture, model.architecture)


def words(audited: AuditedTask, found: Shortcut) -> str:
    """One null model's gain as a clause."""
    gain = found.gain
    share = ""
    if np.isfinite(found.share) and gain.value > 0:
        share = f", {100 * found.share:.0f} % of the best model's gain"
    ends = f"({gain.low:.3f} to {gain.high:.3f})"
    _, what = audited.task.kind.gained
    return f"{_called(found.model)}: {what} by {gain.value:.3f}{audited.task.unit} {ends}{share}"


def tell(audited: AuditedTask, found: Shortcuts) -> Sequence[Verdict]:
    """Failed if metadata are better than guessing, or grey levels or border have SHARE of the best model's gain."""
    guilty = [words(audited, each) for each in found.measured if each.guilty]
    everything = "; ".join(words(audited, each) for each in found.measured)
    rest = ""
    if found.unmeasured:
        rest = f" Not tested, because patients or predictions are missing: {'; '.join(found.unmeasured)}."
    if guilty:
        return [Verdict("failed", f"{'; '.join(guilty)}.{rest}", len(guilty))]
    if found.best_knows_nothing:
        sentence = (
            f"the best model is not shown to be better than guessing, so null models cannot be compared with it; "
            f"{everything}.{rest}"
        )
        return [Verdict("not_applicable", sentence, 0)]
    sentence = (
        f"metadata are not shown to be better than guessing, and neither grey levels nor the border have at least "
        f"{100 * SHARE:.0f} % of the best model's gain. {everything}.{rest}"
    )
    return [Verdict("passed", sentence, 0)]


def figures(audited: AuditedTask, found: Shortcuts) -> Sequence[Figure]:
    """One row for each null model."""
    return [
        Figure.of(
            each.gain,
            experiment=each.model.name,
            attribute=each.model.architecture,
            metric=audited.task.kind.gained[0],
            p_adjusted=each.p_adjusted,
            words=words(audited, each),
        )
        for each in found.measured
    ]


KIND = Audit(
    code="SHORT001",
    title="prediction of the target without anatomy",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    figures=figures,
    family="shortcut",
)
