"""Sections of a study's page; one file for each section."""
