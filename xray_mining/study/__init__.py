"""The study file, its steps in order, and the run of all of them."""
