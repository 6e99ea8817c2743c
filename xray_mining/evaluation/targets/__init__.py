"""How each kind of target is evaluated: one file for each kind, with the constant KIND (a `task.TargetKind`)."""
