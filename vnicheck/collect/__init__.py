"""A snapshot, wherever it comes from: live regions, saved guests, folders, files; and which servers are meant."""
