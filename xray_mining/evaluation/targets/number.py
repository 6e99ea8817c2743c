"""A number, for example an age in years."""

from xray_mining.evaluation.targets._numbers import Numbers
from xray_mining.records.cohort import Target


class Number(Numbers):
    """A number that is measured, without levels."""

    def is_age(self, target: Target) -> bool:
        """A number in years that is computed from the age alone."""
        return target.made_of == ("age_years",) and target.unit in ("", "years")


KIND = Number()
