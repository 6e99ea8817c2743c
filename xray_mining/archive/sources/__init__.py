"""Kinds of source: one file each, named by the scheme of its addresses; a plain path is a folder's."""
