"""Estimates with intervals: arrays in, Estimate out."""
