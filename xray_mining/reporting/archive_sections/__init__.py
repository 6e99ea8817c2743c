"""Sections of the archive's page; one file for each section."""
