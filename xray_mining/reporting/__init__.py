"""Lay out tables of results as one self-contained HTML page; computes no results."""
