"""Networks on torch: backbones, heads, losses, weights, feeding and training; knows arrays and keys, no study."""
