"""A server of a snapshot, rebuilt on this machine's kernel, and real packets sent."""
