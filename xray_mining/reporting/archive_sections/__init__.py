"""One section of the archive's page a file."""
