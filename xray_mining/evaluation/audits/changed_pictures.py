"""SHORT002: how much worse the best model is on changed test images: with another window, or sharpened."""

from collections.abc import Sequence
from dataclasses import dataclass

from xray_mining.evaluation.audits._audit import LEVEL, Audit, AuditedTask, Figure, Verdict
from xray_mining.evaluation.variants import both_known, lost
from xray_mining.statistics.comparison import holm
from xray_mining.statistics.estimate import Estimate

WORDS = {"window": "with another window", "sharpened": "after sharpening"}
TOLERATED = 0.5
"""The audit fails if a model loses more than this share of its advantage over guessing on changed images."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of one model on one kind of changed images."""

    experiment: str
    variant: str
    lost: Estimate
    p_adjusted: float
    """Adjusted by Holm over the model's kinds of changed images."""
    share: float
    """Loss divided by the model's advantage over guessing on the same unchanged images; nan without an advantage."""

    @property
    def guilty(self) -> bool:
        """Whether the loss is more than chance and more than TOLERATED."""
        return self.p_adjusted <= LEVEL and self.lost.value > 0 and not self.share <= TOLERATED


def measure(audited: AuditedTask) -> tuple[Loss, ...]:
    """The losses of all models."""
    task, found = audited.task, []
    for model in task.models.values():
        losses = {
            variant: each
            for variant, values in model.variants.items()
            if (each := lost(task, model, values, audited.options)) is not None
        }
        adjusted = holm([each.p_value for each in losses.values()])
        for (variant, each), p in zip(losses.items(), adjusted, strict=True):
            known = task.kind.beyond_guessing(task, model, both_known(model, model.variants[variant]))
            share = each.value / known if known > 0 else float("nan")
            found.append(Loss(model.name, variant, each, float(p), share))
    return tuple(found)


def words(audited: AuditedTask, found: Loss) -> str:
    """One loss as a clause."""
    task, estimate, share = audited.task, found.lost, found.share
    value, low, high = estimate.value, estimate.low, estimate.high
    way = ("above" if value >= 0 else "below") if task.kind.less_is_better else ("below" if value >= 0 else "above")
    if value < 0:
        value, low, high = -value, -high, -low
    part = f", {100 * share:.0f} % of its advantage over guessing" if share > 0 else ""
    if share > 1:  # A large percentage of a very small number has no meaning.
        part = ", more than its whole advantage over guessing"
    return (
        f"{WORDS.get(found.variant, found.variant)}, the {task.kind.title} is {value:.3f}{task.unit} {way} the "
        f"{task.kind.title} on the same {estimate.images:,} unchanged images ({low:.3f} to {high:.3f}{part})"
    )


def tell(audited: AuditedTask, found: tuple[Loss, ...]) -> Sequence[Verdict]:
    """The verdict on the best model; other models are not judged."""
    judged = [each for each in found if each.experiment == audited.choice.best]
    if not judged:
        sentence = "the best model has no predictions of changed images (option changed_images of the design)."
        return [Verdict("not_applicable", sentence)]
    guilty = [each for each in judged if each.guilty]
    sentence = "; ".join(words(audited, each) for each in guilty or judged)
    outcome = "failed" if guilty else "passed"
    return [Verdict(outcome, f"{sentence}.", len(guilty), about=audited.choice.best)]


def figures(audited: AuditedTask, found: tuple[Loss, ...]) -> Sequence[Figure]:
    """One row for each model and kind of changed images."""
    return [
        Figure.of(
            each.lost,
            experiment=each.experiment,
            attribute=each.variant,
            metric=f"{audited.task.metric}_lost",
            p_adjusted=each.p_adjusted,
            words=words(audited, each),
        )
        for each in found
    ]


KIND = Audit(
    code="SHORT002",
    title="the score with another window or sharpness",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    figures=figures,
    family="variants",
)
