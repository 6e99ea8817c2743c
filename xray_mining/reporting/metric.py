"""How one metric is called and written on the page."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """Title, meaning and digits of a metric."""

    title: str
    explanation: str
    digits: int = 3
    better: str = ""
    """'lower' or 'higher'; empty if neither is better in general."""
    percent: bool = False
