"""From predictions to estimates, comparisons, audits and pictures."""
