"""What a program calls: an open workspace, and predictions for new files."""
