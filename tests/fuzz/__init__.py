"""Fuzzing of what reads a server's words: `make fuzz`; `tests/guest/test_fuzz.py` does some of it in every run."""
