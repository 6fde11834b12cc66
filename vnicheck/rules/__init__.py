"""The rule catalogue: one file a rule, whose docstring is its page. Rules look at flows and give findings."""
