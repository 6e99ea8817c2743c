"""Interface for programs: an open workspace, and predictions for new files."""
