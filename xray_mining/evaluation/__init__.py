"""Turn predictions into estimates, comparisons, audits and pictures."""
