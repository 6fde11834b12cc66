"""A snapshot in, a report out: one server or many, a lint, a trace, a comparison; mutes. Pure but for workers."""
