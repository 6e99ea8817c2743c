"""Radiographs as somebody else keeps them: one adapter a file."""
