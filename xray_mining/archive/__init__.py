"""Radiographs as somebody else keeps them: one file an adapter, never written to."""
