"""Logging in: the user's keys, then the password where one was given. Every secret is offered once."""

from typing import TYPE_CHECKING

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.config import SshHop
from vnicheck.guest.ssh.errors import session_error
from vnicheck.guest.ssh.keys import AgentKeys, Candidate, KeyRing, open_agent
from vnicheck.model.words import counted, one_line

if TYPE_CHECKING:
    from vnicheck.guest.ssh.client import Client, Login

PASSWORDS = ("password", "keyboard-interactive")


def authenticate(hop: SshHop, client: "Client", keys: KeyRing, seconds: float) -> None:
    """Log in, each answer within `seconds`. Raises CollectionError `ssh_auth...`, `ssh_password...`, `ssh_key_...`,
    `ssh_agent`, `ssh_interactive`.
    """
    from paramiko.ssh_exception import AuthenticationException, SSHException

    attempt = _Attempt(hop, client, keys)
    try:
        attempt.run(seconds)
    except AuthenticationException as error:
        raise attempt.ended(error, seconds) from error
    except (SSHException, OSError, EOFError) as error:
        raise session_error(hop.label, error) from error


class _Attempt:
    """One login, and what became of the keys that it offered."""

    def __init__(self, hop: SshHop, client: "Client", keys: KeyRing) -> None:
        self.hop, self.client, self.keys = hop, client, keys
        self.tried: list[str] = []
        self.troubles: list[CollectionError] = []
        self.partial = False

    def run(self, seconds: float) -> None:
        login = self.client.login(seconds)
        agent = None
        try:
            agent = open_agent(self.hop.agent)
        except CollectionError as error:
            self.troubles.append(error)
        try:
            further = self._offer_keys(login, agent)
        finally:
            if agent is not None:
                agent.close()
        if further is None or self._offer_password(login, further):
            return
        raise self._refused(further)

    def _offer_keys(self, login: "Login", agent: AgentKeys | None) -> tuple[str, ...] | None:
        """None once logged in; else the methods that the server would take next."""
        from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, SSHException

        for candidate in self.keys.candidates(self.hop, agent):
            if not isinstance(candidate, Candidate):
                self.troubles.append(candidate)
                continue
            self.tried.append(candidate.origin)
            try:
                further = login.auth_publickey(self.hop.user, candidate.key)
            except BadAuthenticationType:
                break
            except AuthenticationException as error:
                if not self.client.is_active() or "timeout" in str(error).lower():
                    raise
                continue
            except SSHException as error:
                # the agent's side: the request was never sent
                if not self.client.is_active():
                    raise
                self.tried.pop()
                reason = one_line(str(error), 80)
                self.troubles.append(CollectionError("ssh_agent", f"the agent does not sign with its key ({reason})"))
                continue
            if not further:
                return None
            self.partial = True
            return tuple(further)
        if login.allowed is None:
            try:
                login.auth_none(self.hop.user)
            except BadAuthenticationType:
                return login.allowed
            return None
        return login.allowed

    def _offer_password(self, login: "Login", allowed: tuple[str, ...]) -> bool:
        """Whether the password, where there is one and the server takes any, did it. Raises CollectionError."""
        from paramiko.ssh_exception import AuthenticationException

        from vnicheck.guest.ssh.client import AskedFurther, answers

        method = next((name for name in PASSWORDS if name in allowed), None)
        password = None if method is None else self.keys.password()
        if password is None:
            return False
        user = one_line(self.hop.user, 40)
        try:
            if method == "password":
                further = login.auth_password(self.hop.user, password)
            else:
                further = login.auth_interactive(self.hop.user, answers(password))
        except AskedFurther as error:
            raise CollectionError(
                "ssh_interactive",
                f"{self.hop.label}: login as {user} failed: {one_line(str(error), 100)}; use a key, or an account "
                "that needs no more than a password",
            ) from error
        except AuthenticationException as error:
            if not self.client.is_active() or "timeout" in str(error).lower():
                raise
            raise CollectionError(
                "ssh_password",
                f"{self.hop.label}: login as {user} failed: it does not take the password; check it and --ssh-user",
            ) from error
        if further:
            wanted = one_line(", ".join(further), 60)
            raise CollectionError(
                "ssh_interactive", f"{self.hop.label}: login as {user} failed: it wants {wanted} besides the password"
            )
        return True

    def _refused(self, allowed: tuple[str, ...]) -> CollectionError:
        label, user = self.hop.label, one_line(self.hop.user, 40)
        wanted = one_line(", ".join(allowed), 60) or "nothing that it names"
        passwords = [name for name in PASSWORDS if name in allowed]
        if passwords and (self.partial or "publickey" not in allowed):
            besides = " besides a key" if self.partial else ""
            return CollectionError(
                "ssh_password_needed", f"{label}: login as {user} failed: it wants {wanted}{besides}; give --ask-pass"
            )
        if not self.tried and self.troubles:
            return CollectionError(self.troubles[0].code, f"{label}: {self.troubles[0].message}")
        if self.partial:
            why = f"it wants {wanted} besides a key"
        elif "publickey" not in allowed:
            why = f"it takes no public keys, but {wanted}"
        else:
            why = "it takes none of them" if self.tried else "there is none to offer"
        hint = " (or give --ask-pass)" if passwords else ""
        return self._failed("ssh_auth", f"{why}{self._unused()}; check --ssh-user and -i{hint}")

    def ended(self, error: BaseException, seconds: float) -> CollectionError:
        """The server ended the login, or does not answer it."""
        farewell = self.client.farewell
        if "timeout" in str(error).lower():
            return self._failed(
                "ssh_auth_timeout", f"it did not answer within {seconds:g} s; see --connect-timeout, or its own log"
            )
        if "too many authentication failures" in farewell.lower() or (not farewell and len(self.tried) > 1):
            return self._failed(
                "ssh_auth_limit",
                "it ended the connection after too many; name the right key with -i, and IdentitiesOnly in the SSH "
                "configuration",
            )
        said = f" ({farewell})" if farewell else ""
        return self._failed("ssh_auth", f"it ended the connection{said}{self._unused()}; check --ssh-user and -i")

    def _failed(self, code: str, why: str) -> CollectionError:
        offered = f"{counted(len(self.tried), 'key')} offered"
        return CollectionError(
            code, f"{self.hop.label}: login as {one_line(self.hop.user, 40)} failed, {offered}, {why}"
        )

    def _unused(self) -> str:
        return f"; not used: {self.troubles[0].message}" if self.troubles else ""
