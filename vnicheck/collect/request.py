"""What is asked of this room, and whoever asks."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from vnicheck.cloud.credentials import Access
from vnicheck.guest.ssh.options import SshOptions

if TYPE_CHECKING:
    from vnicheck.guest.ssh.keys import AskPassphrase, AskPassword

AddressChoice = Literal["auto", "private", "floating"]


class Request(Struct, frozen=True, kw_only=True):
    """Which servers, and whence their facts.

    `servers`: names, ids, CRNs or addresses (none: all in scope). `snapshot`: a file or folder to read instead of the
    cloud; `local`: the instance that this runs on. `regions`: none for that of the environment. `access`: credentials
    that are named. `api_timeout`: seconds for reading a region. `guests`: guests' saved output, by what names a server;
    `guest_folder`: a file for each. `cloud_only`: no SSH. `address`: which one of a server's SSH connects to; `jobs`:
    to how many servers at once.
    """

    servers: tuple[str, ...] = ()
    snapshot: Path | None = None
    local: bool = False
    regions: tuple[str, ...] = ()
    all_regions: bool = False
    vpc: str | None = None
    resource_group: str | None = None
    access: Access = Access()
    api_timeout: float = 180
    guests: dict[str, Path] = {}
    guest_folder: Path | None = None
    cloud_only: bool = False
    ssh: SshOptions = SshOptions()
    address: AddressChoice = "auto"
    jobs: int = 32


class Watch(Protocol):
    """Sees how far something is that takes long."""

    def expect(self, total: int) -> None:
        """So many servers will be read."""

    def start(self, key: str, name: str) -> None:
        """A server's turn has come. Called in that server's thread."""

    def done(self, key: str, *, ok: bool) -> None:
        """A server is read, or has failed."""


class Asker(Protocol):
    """Whoever asked: is told, watches, and types passwords; `ask_...` is None where nobody can, or means to."""

    @property
    def ask_passphrase(self) -> "AskPassphrase | None":
        """Asks for that of a key file."""

    @property
    def ask_password(self) -> "AskPassword | None":
        """Asks for the password of the login."""

    def tell(self, line: str) -> None:
        """Something that changes what comes out."""

    def note(self, line: str) -> None:
        """Something good to know."""

    def watch(self, what: str) -> AbstractContextManager[Watch]:
        """Shows that `what` is being done, as long as the context lasts."""
