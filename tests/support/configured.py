"""A guest with configuration files of one's own: the collect script in a mount namespace where they stand in /etc."""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.support.guest_namespace import run_in_namespace
from tests.support.sshd import require, require_root
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.guest import Guest

OWN_PROCESSES = "unshare --pid --fork --mount-proc"
"""Network managers of other tests are not in sight."""
FOLDERS = ("etc", "run", "usr/local/lib", "usr/lib/sysctl.d", "usr/lib/systemd/network")


def collect_configured(
    folder: Path,
    files: Mapping[str, str | Path | None],
    *,
    shell: str = "dash -s",
    first: str = "",
    unreadable: tuple[str, ...] = (),
    systemd: bool = True,
    modes: Mapping[str, int] | None = None,
) -> bytes:
    """What the script prints where `files` (path to text, to the target of a link, or None for a link to /dev/null) are
    all that /etc, /run and the folders of sysctl.d hold. With `unreadable` paths it runs as nobody. `first` runs before
    it, in its network namespace, which has eth0 and eth1 (02:00:00:00:00:0a and :0b). Scripts are executable, and
    NetworkManager's profiles for root alone, unless `modes` say otherwise.
    """
    require_root()
    require("unshare", "mount", "setpriv")
    root = folder / "root"
    root.mkdir(parents=True, exist_ok=True)
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    if systemd:
        (root / "run/systemd/system").mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            target.write_text(content)
            usual = 0o600 if "/system-connections/" in path else 0o755 if content.startswith("#!") else 0o644
            target.chmod((modes or {}).get(path, usual))
        elif not target.is_symlink():
            target.symlink_to(content if content is not None else "/dev/null")
    for path in unreadable:
        (root / path.lstrip("/")).chmod(0)
    script = folder / "collect.sh"
    script.write_text(collect_script_text())
    for above in (folder, *folder.parents[:2]):
        if above.stat().st_uid == os.geteuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o755)
    mounts = "".join(f"if [ -d /{name} ]; then mount --bind {root / name} /{name}; fi\n" for name in FOLDERS)
    links = "ip link add eth0 type veth peer name p0; ip link add eth1 type veth peer name p1\n"
    links += "ip link set eth0 address 02:00:00:00:00:0a; ip link set eth1 address 02:00:00:00:00:0b\n"
    collector = f"setpriv --reuid 65534 --regid 65534 --clear-groups {shell}" if unreadable else shell
    inner = folder / "inner.sh"
    inner.write_text(f"set -e\n{links}{mounts}{first}\nexec {collector} < /proc/self/fd/3\n")
    return run_in_namespace(f"exec {OWN_PROCESSES} --propagation private sh {inner} 3< {script}")


def configured_guest(folder: Path, files: Mapping[str, str | Path | None], **more: object) -> Guest:
    """The guest that such a collection describes."""
    return read_guest(collect_configured(folder, files, **more), via="file")  # type: ignore[arg-type]
