"""answer.json of an evaluation: the answer to each task in sentences, and the failed checks that touch it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A failed check as it is printed beside an answer."""

    code: str
    severity: str
    title: str
    sentence: str
    """Without the name of what the check is about."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one task (COHORT/TARGET)."""

    task: str
    target: str
    sentences: tuple[str, ...]
    text: str
    """The sentences as one text."""
    checks: tuple[FailedCheck, ...] = ()
    """Failed checks of the task, its cohort and its experiments."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The content of answer.json, which is `asdict` of this."""

    checks: tuple[FailedCheck, ...] = ()
    """Failed checks that touch the whole study."""
    answers: tuple[Answer, ...] = ()

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Answers":
        """Parse answer.json, also of a version without checks in it."""
        return cls(
            _checks(content),
            tuple(
                Answer(
                    str(each["task"]),
                    str(each.get("target", "")),
                    tuple(each["sentences"]),
                    str(each.get("text") or " ".join(each["sentences"])),
                    _checks(each),
                )
                for each in content.get("answers", ())
            ),
        )

    def lines(self) -> list[str]:
        """Lines for a terminal: each failed check once, before the first answer that it touches."""
        lines = _lines(self.checks)
        for each in self.answers:
            lines += [line for line in _lines(each.checks) if line not in lines]
            lines.append(each.text)
        return lines


def _checks(content: Mapping[str, Any]) -> tuple[FailedCheck, ...]:
    return tuple(FailedCheck(**each) for each in content.get("checks", ()))


def _lines(checks: Sequence[FailedCheck]) -> list[str]:
    return [f"check failed ({each.severity}, {each.code}): {each.title}: {each.sentence}" for each in checks]
