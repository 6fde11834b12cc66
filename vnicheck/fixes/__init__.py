"""Fixes: propose them, prove them (apply to the snapshot, run the engine again), render them. Pure."""
