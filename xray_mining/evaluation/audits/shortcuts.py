"""SHORT001: how much of the target null models read that see no anatomy, as a share of what the best model knows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xray_mining.evaluation.audits._audit import LEVEL, Audit, AuditedTask, Figure, NotApplicable, Verdict
from xray_mining.evaluation.task import Model
from xray_mining.models.kind import Role, Sight
from xray_mining.statistics.comparison import holm
from xray_mining.statistics.estimate import Estimate

WORDS = {
    "metadata": "maker, site, view, year and the like, without the picture",
    "histogram": "grey levels alone",
    "border": "the picture's border and padding alone",
}
"""Null models as the sentence calls them; one that is not here by its own word."""
SHARE = 0.5
"""Null models that see traces of the anatomy fail the audit only from this share of the best model's score on."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What one null model gains over guessing."""

    model: Model
    gain: Estimate
    p_adjusted: float
    share: float
    """Of the best model's gain; nan where that is not shown to be above zero: any share would be noise over noise."""

    @property
    def guilty(self) -> bool:
        """Its gain is more than chance, and more than the anatomy that it may see explains."""
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
    """Words of those that could not."""
    best_knows_nothing: bool


def measure(audited: AuditedTask) -> Shortcuts | NotApplicable:
    """What each null model gains over guessing; p adjusted by Holm over these models."""
    task, options = audited.task, audited.options
    seen = (Sight.NO_PICTURE, Sight.TRACES)
    nulls = [each for each in task.models.values() if each.role is Role.NULL and each.sight in seen]
    nulls.sort(key=lambda each: (each.kind, each.shows.words().index(each.architecture)))
    if not task.kind.gained[0]:
        return NotApplicable(f"a gain over guessing is not defined for targets of kind {task.target.kind}.")
    if not nulls:
        return NotApplicable("no null experiment reads what is around the anatomy, such as metadata or the border.")
    gains = [
        (model, gain)
        for model in nulls
        if (gain := task.kind.gain(task, model, options)) is not None and np.isfinite(gain.p_value)
    ]
    if not gains:
        return NotApplicable("the null experiments have nothing to be compared with.")
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
    """One null model's gain in words."""
    gain = found.gain
    share = f", {100 * found.share:.0f} % of the best model's" if np.isfinite(found.share) and gain.value > 0 else ""
    ends = f"({gain.low:.3f} to {gain.high:.3f})"
    _, what = audited.task.kind.gained
    return f"{_called(found.model)}: {what} by {gain.value:.3f}{audited.task.unit} {ends}{share}"


def tell(audited: AuditedTask, found: Shortcuts) -> Sequence[Verdict]:
    """Failed where metadata gain more than chance, or grey levels or the border SHARE of the best model's gain."""
    guilty = [words(audited, each) for each in found.measured if each.guilty]
    everything = "; ".join(words(audited, each) for each in found.measured)
    rest = (
        f" Not asked, for want of patients or predictions: {'; '.join(found.unmeasured)}." if found.unmeasured else ""
    )
    if guilty:
        return [Verdict("failed", f"{'; '.join(guilty)}.{rest}", len(guilty))]
    if found.best_knows_nothing:
        sentence = (
            f"the best model is not shown to know more than guessing, so that there is nothing to take a share of; "
            f"{everything}.{rest}"
        )
        return [Verdict("not_applicable", sentence, 0)]
    sentence = (
        f"metadata are not shown to tell more than chance, nor do grey levels or the border tell more and at least "
        f"{100 * SHARE:.0f} % of what the best model knows. {everything}.{rest}"
    )
    return [Verdict("passed", sentence, 0)]


def figures(audited: AuditedTask, found: Shortcuts) -> Sequence[Figure]:
    """A row a null model."""
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
    title="what tells the target without anatomy",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    figures=figures,
    family="shortcut",
)
