"""One parser for each command: pure functions from text to the model's structs. What is not understood is kept."""
