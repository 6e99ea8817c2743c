"""Estimates with intervals: arrays in, Estimate out."""

from xray_mining.statistics.auc import auc_delong, compare_auc
from xray_mining.statistics.estimate import Estimate
from xray_mining.statistics.figures import estimate

__all__ = ["Estimate", "auc_delong", "compare_auc", "estimate"]
