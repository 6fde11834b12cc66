"""The model: frozen structs that check their invariants on construction, and their JSON forms. Imports nothing of ours."""
