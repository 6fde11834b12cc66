"""Which classes of flows a server has, and what each stage says of them, in packet order."""
