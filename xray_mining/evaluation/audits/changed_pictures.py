"""SHORT002: how much of a score is lost in another window or when sharpened, by predictions of changed test images."""

from collections.abc import Sequence
from dataclasses import dataclass

from xray_mining.evaluation.audits._audit import LEVEL, Audit, AuditedTask, Figure, Verdict
from xray_mining.evaluation.variants import both_known, lost
from xray_mining.statistics.comparison import holm
from xray_mining.statistics.estimate import Estimate

WORDS = {"window": "in another window", "sharpened": "sharpened"}
TOLERATED = 0.5
"""Of what a model knows beyond guessing: a larger loss on changed images fails the audit."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Loss of one model on one kind of changed images."""

    experiment: str
    variant: str
    lost: Estimate
    p_adjusted: float
    """Holm over the model's variants."""
    share: float
    """Of what the model knows of the same images beyond guessing; nan where that is nothing."""

    @property
    def guilty(self) -> bool:
        """The loss is more than chance, and more than TOLERATED."""
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
    part = f", {100 * share:.0f} % of what it knows beyond guessing" if share > 0 else ""
    if share > 1:  # A large percentage of a very small number has no meaning.
        part = ", more than all that it knows beyond guessing"
    return (
        f"{WORDS.get(found.variant, found.variant)}, the {task.kind.title} is {value:.3f}{task.unit} {way} that of the "
        f"same {estimate.images:,} images unchanged ({low:.3f} to {high:.3f}{part})"
    )


def tell(audited: AuditedTask, found: tuple[Loss, ...]) -> Sequence[Verdict]:
    """The verdict about the best model; other models are not judged."""
    judged = [each for each in found if each.experiment == audited.choice.best]
    if not judged:
        sentence = "the best model has no predictions of changed images (design, changed_images)."
        return [Verdict("not_applicable", sentence)]
    guilty = [each for each in judged if each.guilty]
    sentence = "; ".join(words(audited, each) for each in guilty or judged)
    outcome = "failed" if guilty else "passed"
    return [Verdict(outcome, f"{sentence}.", len(guilty), about=audited.choice.best)]


def figures(audited: AuditedTask, found: tuple[Loss, ...]) -> Sequence[Figure]:
    """A row a model and variant."""
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
    title="the score under another window and sharpness",
    severity="warning",
    subject=AuditedTask,
    measure=measure,
    tell=tell,
    figures=figures,
    family="variants",
)
