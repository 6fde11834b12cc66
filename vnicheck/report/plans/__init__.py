"""Formats of plans, one file each: text for people, and what other tools run."""
