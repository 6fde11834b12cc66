"""Measurements: each figure beside something else in the same run."""
