"""Asks the running kernel and the kernel model the same questions of random configurations, and compares."""
