"""The one exception of this room."""

from vnicheck.model.snapshot import Problem


class CollectionError(Exception):
    """A guest could not be collected or read. `code` is stable; `message` is one line: what happened, what to do next.

    Codes: `guest_not_linux`, `guest_no_ip`, `guest_truncated`, `guest_unreadable`; `ssh_config`, `ssh_dns`,
    `ssh_refused`, `ssh_unreachable`, `ssh_timeout`, `ssh_banner`, `ssh_protocol`, `ssh_host_key_unknown`,
    `ssh_host_key_changed`, `ssh_host_key_revoked`, `ssh_known_hosts`, `ssh_auth`, `ssh_key_unreadable`,
    `ssh_key_encrypted`, `ssh_exec`, `ssh_output_limit`, `ssh_closed`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def problem(self) -> Problem:
        """The same as the model's struct."""
        return Problem(code=self.code, message=self.message)
