"""The one exception of this room, and every code that it may bear."""

from vnicheck.model.snapshot import Problem

CODES = {
    "guest_no_ip": "the server has no `ip` command",
    "guest_not_linux": "the server runs Windows, FreeBSD, ...",
    "guest_truncated": "the collection has no end line",
    "guest_unreadable": "the collection makes no sense",
    "ssh_agent": "the agent does not answer, or will not sign",
    "ssh_auth": "the server takes none of the keys",
    "ssh_auth_limit": "the server ended the login after too many keys",
    "ssh_auth_timeout": "the server did not answer the login",
    "ssh_banner": "the port is open, but silent",
    "ssh_banner_endless": "the port is open, and what comes is no SSH banner and does not end",
    "ssh_closed": "the connection ended in the middle",
    "ssh_config": "the SSH configuration cannot be read, or an address or name in it cannot be used",
    "ssh_dns": "the name does not resolve",
    "ssh_exec": "the shell ended with an error",
    "ssh_exec_refused": "the server runs no commands",
    "ssh_forced_command": "something else than the collect script answered",
    "ssh_host_certificate": "the host's certificate is not valid",
    "ssh_host_key_changed": "the host key is not the known one",
    "ssh_host_key_revoked": "the host key is revoked",
    "ssh_host_key_unknown": "the host key is not known",
    "ssh_interactive": "the login asks what a password does not answer",
    "ssh_kex": "no common algorithms",
    "ssh_kex_timeout": "the key exchange does not end",
    "ssh_key_encrypted": "the key needs a passphrase",
    "ssh_key_unreadable": "the key file cannot be read",
    "ssh_known_hosts": "the known_hosts file cannot be read or written",
    "ssh_no_answer": "nothing answers",
    "ssh_no_shell": "the login shell cannot run `sh`",
    "ssh_nologin": "the account may not log in",
    "ssh_not_ssh": "the port speaks another protocol",
    "ssh_output_limit": "more output than is read",
    "ssh_password": "the server does not take the password",
    "ssh_password_needed": "the server wants a password",
    "ssh_protocol": "the server breaks the SSH protocol",
    "ssh_refused": "the connection is refused",
    "ssh_session": "the server opens no session",
    "ssh_throttled": "the server drops connections: too many at once",
    "ssh_timeout": "the server's time is up",
    "ssh_unreachable": "no route, or a firewall that says no",
}
"""Stable names, each with the fault that it stands for; docs/collection.md adds the remedies."""


class CollectionError(Exception):
    """A guest could not be collected or read. `code` is one of CODES; `message` one line: what happened, what to do."""

    def __init__(self, code: str, message: str) -> None:
        if code not in CODES:
            raise ValueError(f"no such code: {code}")
        super().__init__(message)
        self.code = code
        self.message = message

    def problem(self) -> Problem:
        """The same as the model's struct."""
        return Problem(code=self.code, message=self.message)
