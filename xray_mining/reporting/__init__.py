"""From tables to one self-contained HTML page; computes nothing."""
