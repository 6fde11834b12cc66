"""A snapshot with pseudonyms for whatever tells whose it is, of which the same is predicted. Pure: the key is given."""
