"""Formats of the report, one file each. They compute nothing: all that they show is in the report."""
