"""Whole numbers in an order, learned as numbers."""

from xray_mining.models.targets.number import Number

KIND = Number()
