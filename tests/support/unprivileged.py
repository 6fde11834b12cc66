"""Who rehearses in tests: a user without rights over anything of the machine, who can read this checkout and its Python
all the same."""

NOBODY = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"]
