"""What rules share: the facts that they look at, findings, evidence, broken paths, expectations, phrases. Pure."""
