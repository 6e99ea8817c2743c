"""Baselines, frozen networks and trained networks, fitted to frozen cohorts."""
