"""The model: frozen structs that check their invariants on construction, and their JSON. Imports nothing of ours."""
