"""Predictions held against what can be seen: the server's own kernel, asked."""
