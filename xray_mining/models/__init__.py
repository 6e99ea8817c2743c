"""Baselines, frozen networks and trained networks; the only room that knows torch."""
