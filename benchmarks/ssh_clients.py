"""`python -m benchmarks.ssh_clients NAME FOLDER`: one client, in a process of its own, runs the collect script on every
host of a `Fleet`'s folder, 32 at a time, host keys checked, and prints how many gave a complete collection.
"""

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paramiko import SSHClient

PORT = 2222
JOBS = 32
USER = getpass.getuser()
END = b"vnicheck-guest/1 end"


def vnicheck(folder: Path, hosts: list[str]) -> int:
    """Our own: it also reads what it collected."""
    from vnicheck.guest.fleet import collect_many
    from vnicheck.guest.ssh.options import SshOptions, SshTarget
    from vnicheck.model.guest import Guest

    options = SshOptions(
        user=USER,
        port=PORT,
        identities=(folder / "key",),
        known_hosts=(folder / "known_hosts",),
        config_file=Path("none"),
    )
    targets = [SshTarget(name=host, address=host) for host in hosts]
    results = collect_many(targets, options, jobs=JOBS)
    for key, result in results.items():
        if not isinstance(result, Guest):
            print(key, result.code, result.message, file=sys.stderr)
    return sum(isinstance(result, Guest) for result in results.values())


def vnicheck_unread(folder: Path, hosts: list[str]) -> int:
    """Our own without reading the output, as the other clients: what the connections alone take."""
    from vnicheck.guest import fleet
    from vnicheck.model.guest import Guest

    fleet._read = lambda _: Guest(collected_at="")
    return vnicheck(folder, hosts)


def paramiko_plain(folder: Path, hosts: list[str]) -> int:
    """As paramiko's own examples: a client per host, each of which loads known_hosts and the key."""
    from concurrent.futures import ThreadPoolExecutor

    import paramiko

    def run(host: str) -> bool:
        with paramiko.SSHClient() as client:
            client.load_host_keys(str(folder / "known_hosts"))
            client.connect(host, PORT, USER, key_filename=str(folder / "key"), allow_agent=False, look_for_keys=False)
            return _paramiko_run(client, folder)

    with ThreadPoolExecutor(JOBS) as pool:
        return sum(pool.map(run, hosts))


def paramiko_shared(folder: Path, hosts: list[str]) -> int:
    """paramiko with known_hosts and the key loaded once."""
    from concurrent.futures import ThreadPoolExecutor

    import paramiko

    known = paramiko.HostKeys(str(folder / "known_hosts"))
    key = paramiko.Ed25519Key(filename=str(folder / "key"))

    def run(host: str) -> bool:
        with paramiko.SSHClient() as client:
            client._host_keys = known
            client.connect(host, PORT, USER, pkey=key, allow_agent=False, look_for_keys=False)
            return _paramiko_run(client, folder)

    with ThreadPoolExecutor(JOBS) as pool:
        return sum(pool.map(run, hosts))


def _paramiko_run(client: "SSHClient", folder: Path) -> bool:
    stdin, stdout, _ = client.exec_command("sh -s")
    stdin.write((folder / "collect.sh").read_bytes())
    stdin.channel.shutdown_write()
    return END in stdout.read()


def asyncssh(folder: Path, hosts: list[str]) -> int:
    """asyncssh, known_hosts and the key loaded once, no agent, no configuration, the cheapest cipher first."""
    import asyncio

    import asyncssh

    script = (folder / "collect.sh").read_text()

    async def run(host: str, room: "asyncio.Semaphore", options: "asyncssh.SSHClientConnectionOptions") -> bool:
        async with room, asyncssh.connect(host, PORT, options=options) as connection:
            done = await connection.run("sh -s", input=script, encoding="utf-8")
            return END.decode() in str(done.stdout)

    async def main() -> int:
        options = asyncssh.SSHClientConnectionOptions(
            username=USER,
            client_keys=[asyncssh.read_private_key(str(folder / "key"))],
            known_hosts=asyncssh.read_known_hosts(str(folder / "known_hosts")),
            agent_path=None,
            config=None,
            encryption_algs=["aes128-gcm@openssh.com"],
        )
        room = asyncio.Semaphore(JOBS)
        return sum(await asyncio.gather(*(run(host, room, options) for host in hosts)))

    return asyncio.run(main())


CLIENTS = {
    "vnicheck": vnicheck,
    "vnicheck-unread": vnicheck_unread,
    "paramiko-plain": paramiko_plain,
    "paramiko-shared": paramiko_shared,
    "asyncssh": asyncssh,
}


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    print(CLIENTS[name](folder, (folder / "hosts").read_text().split()))


if __name__ == "__main__":
    main()
