"""Handcrafted features: arrays in, numbers out."""
