"""A number, as an age in years."""

from xray_mining.evaluation.targets._numbers import Numbers

KIND = Numbers()
