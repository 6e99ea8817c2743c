"""Networks on torch: backbones, heads, losses, weights, data loading and training; uses arrays and keys, no study."""
