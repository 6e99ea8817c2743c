"""One way to measure a cohort's pictures: instrument, set, shards, parts, reads by key."""
