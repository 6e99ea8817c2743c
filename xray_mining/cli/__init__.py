"""One thin file a group of commands."""
