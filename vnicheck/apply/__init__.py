"""Changes on live servers: an attempt that is undone by itself, the ledger of what was done."""
