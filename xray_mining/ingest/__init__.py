"""From an archive to parts, pixels and rejects."""
