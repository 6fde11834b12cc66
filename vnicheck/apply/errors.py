"""The one exception of this room that ends a command."""


class ApplyError(Exception):
    """Nothing was changed. The message is one line for the user: why, what to do. `by_server`: for what the server is
    by now, not for what was asked for.
    """

    def __init__(self, message: str, *, by_server: bool = False) -> None:
        super().__init__(message)
        self.by_server = by_server
