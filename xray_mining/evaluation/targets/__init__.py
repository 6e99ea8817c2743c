"""Kinds of target as the evaluation sees them: one file a kind, each with its constant KIND (`task.TargetKind`)."""
