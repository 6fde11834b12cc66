"""Plans in the forms that other tools run: text in, text out. Names in them are quoted, or the step is refused."""
