"""SSH, and nothing of what runs over it: configuration, keys, host keys, login, one command within a deadline."""
