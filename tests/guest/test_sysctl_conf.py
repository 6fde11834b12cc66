"""What the next boot sets: as sysctl.d(5) has it, as systemd-sysctl does it, and as real shells collect it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from tests.support.configured import collect_configured, configured_guest
from tests.support.sshd import require
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.parsers.boot.files import MAX_BOOT_LINES, read_boot_files
from vnicheck.guest.parsers.boot.sysctl_conf import boot_sysctls, normalize
from vnicheck.model.guest import BootValue, Guest

KEYS = [f"net/ipv4/conf/{name}/rp_filter" for name in ("all", "default", "lo", "eth0", "eth1")]
VENDOR = """# comment
net.ipv4.conf.default.rp_filter = 2
net.ipv4.conf.*.rp_filter = 2
-net.ipv4.conf.all.rp_filter
"""


def shown(files: Mapping[str, str | None]) -> str:
    """The section that the script would print of these files."""
    lines = ["@systemd"]
    for path, text in files.items():
        lines.append(f"@{'masked' if text is None else 'read'} {path}")
        lines += [f"{path}:{number}:{line}" for number, line in enumerate((text or "").splitlines(), 1)]
    return "\n".join(lines)


def boot(files: Mapping[str, str | None], keys: list[str] = KEYS) -> dict[str, tuple[int | None, str]]:
    values, doubt = boot_sysctls(read_boot_files(shown(files)), keys)
    assert doubt is None or doubt.startswith("/run/")
    return {key.split("/")[3]: (value.value, value.source) for key, value in values.items()}


def test_a_glob_reaches_all_but_what_is_named() -> None:
    path = "/usr/lib/sysctl.d/50-default.conf"
    assert boot({path: VENDOR}) == {
        "default": (2, f"{path}:2"), "lo": (2, f"{path}:3"), "eth0": (2, f"{path}:3"), "eth1": (2, f"{path}:3"),
    }  # fmt: skip


def test_the_last_name_wins_whatever_the_folder() -> None:
    files = {
        "/etc/sysctl.d/10-a.conf": "net.ipv4.conf.all.rp_filter=1\n",
        "/usr/lib/sysctl.d/20-b.conf": "net.ipv4.conf.all.rp_filter=2\n",
        "/run/sysctl.d/15-c.conf": "net.ipv4.conf.all.rp_filter=0\n",
    }
    assert boot(files)["all"] == (2, "/usr/lib/sysctl.d/20-b.conf:1")


@pytest.mark.parametrize("masked", ["", None])
def test_a_file_masks_its_namesakes_in_lower_folders(masked: str | None) -> None:
    low = "net.ipv4.conf.all.rp_filter=1\n"
    files = {"/etc/sysctl.d/50-x.conf": masked, "/usr/lib/sysctl.d/50-x.conf": low, "/lib/sysctl.d/50-x.conf": low}
    assert boot(files) == {}
    order = ["/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"]
    for count in range(1, len(order)):
        some = {
            f"{folder}/sysctl.d/a.conf": f"net.ipv4.conf.all.rp_filter={number}\n"
            for number, folder in enumerate(order)
            if number >= count
        }
        assert boot(dict(reversed(some.items())))["all"][0] == count


def test_etc_sysctl_conf_counts_only_where_a_folder_links_to_it() -> None:
    assert boot({"/etc/sysctl.conf": "net.ipv4.conf.all.rp_filter=1\n"}) == {}
    assert boot({"/etc/sysctl.d/99-sysctl.conf": "net.ipv4.conf.all.rp_filter=1\n"})["all"][0] == 1


@pytest.mark.parametrize(
    ("text", "eth1"),
    [
        ("net.ipv4.conf.eth1.rp_filter = 1", 1),
        ("  net/ipv4/conf/eth1/rp_filter=1  ", 1),
        ("- net.ipv4.conf.eth1.rp_filter = 1", 1),
        ("-net.ipv4.conf.eth1.rp_filter=1\nnet.ipv4.conf.*.rp_filter=2", 1),
        ("net.ipv4.conf.*.rp_filter=2\n-net.ipv4.conf.eth1.rp_filter", 2),
        ("net.ipv4.conf.*.rp_filter=1\nnet.ipv4.conf.eth?.rp_filter=0", 0),
        ("net.ipv4.conf.eth?.rp_filter=0\nnet.ipv4.conf.*.rp_filter=1\nnet.ipv4.conf.eth?.rp_filter=0", 1),
        ("net.ipv4.conf.eth?.rp_filter=0\nnet.ipv4.conf.*.rp_filter=1\nnet.ipv4.conf.eth?.rp_filter=2", 2),
        ("net.ipv4.*.rp_filter=1", None),
        ("net.ipv4.conf.default.rp_filter=1", 1),
        ("net.ipv4.conf.default.rp_filter=1\n-net.ipv4.conf.eth1.rp_filter", 1),
        ("net.ipv4.conf.eth1.rp_filter", None),
        ("net.ipv4.conf.eth1.rp_filter = 0x2", 2),
        ("net.ipv4.conf.eth1.rp_filter = 0", 0),
        ("net.ipv4.conf.eth1.rp_filter = +1", None),
        ("net.ipv4.conf.eth1.rp_filter = 010", None),
        ("net.ipv4.conf.[^l]*.rp_filter = 2", 2),
        ("net.ipv4.conf.[^e]*.rp_filter = 2\nnet.ipv4.conf.default.rp_filter = 1", 1),
        ("net/ipv4/./conf//eth1/rp_filter = 1", 1),
    ],
)
def test_forms_of_lines(text: str, eth1: int | None) -> None:
    found = boot({"/etc/sysctl.d/a.conf": text})
    assert found.get("eth1", (None, ""))[0] == eth1
    if "eth1" in found:
        assert found["eth1"][1].startswith("/etc/sysctl.d/a.conf:")


@pytest.mark.parametrize(
    ("files", "doubt"),
    [
        ({"/run/sysctl.d/a.conf": "net.ipv4.conf.eth1.rp_filter = 2"}, "/run/sysctl.d/a.conf is gone"),
        ({"/run/sysctl.d/a.conf": None, "/usr/lib/sysctl.d/a.conf": VENDOR}, "/run/sysctl.d/a.conf is gone"),
        ({"/run/sysctl.d/a.conf": VENDOR, "/etc/sysctl.d/a.conf": VENDOR}, None),
        ({"/run/sysctl.d/a.conf": ""}, None),
        ({"/etc/sysctl.d/a.conf": "net.ipv4.conf.eth[[:digit:]].rp_filter = 2"}, "/etc/sysctl.d/a.conf:1 holds"),
        ({"/etc/sysctl.d/a.conf": "net.ipv4.conf.et*\\1.rp_filter = 2"}, "/etc/sysctl.d/a.conf:1 holds"),
    ],
)
def test_what_a_boot_may_not_set_is_told(files: dict[str, str | None], doubt: str | None) -> None:
    _, said = boot_sysctls(read_boot_files(shown(files)), KEYS)
    assert said is None if doubt is None else said is not None and said.startswith(doubt)


def test_a_value_that_is_no_number_is_not_known() -> None:
    value, source = boot({"/etc/sysctl.d/a.conf": "net.ipv4.conf.eth1.rp_filter = strict"})["eth1"]
    assert value is None
    assert source == "/etc/sysctl.d/a.conf:1 sets it to 'strict'"


def test_what_is_taken_from_default_says_so() -> None:
    values, _ = boot_sysctls(
        read_boot_files(shown({"/etc/sysctl.d/a.conf": "net.ipv4.conf.default.rp_filter=1"})), KEYS
    )
    assert values[KEYS[1]] == BootValue(value=1, source="/etc/sysctl.d/a.conf:1")
    assert values[KEYS[3]] == BootValue(value=1, source="/etc/sysctl.d/a.conf:1", inherited=True)
    assert KEYS[0] not in values


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
    ],
)
def test_dots_and_slashes(key: str, path: str) -> None:
    assert normalize(key) == path


def test_two_programs_that_disagree() -> None:
    files = {
        "/etc/sysctl.d/a.conf": "net.ipv4.conf.all.rp_filter=2",
        "/etc/ufw/sysctl.conf": "net/ipv4/conf/all/rp_filter=1",
    }
    value, source = boot(files)["all"]
    assert value is None
    assert source == "both /etc/sysctl.d/a.conf:1 and /etc/ufw/sysctl.conf:1 set it"
    del files["/etc/sysctl.d/a.conf"]
    assert boot(files)["all"] == (1, "/etc/ufw/sysctl.conf:1")


@pytest.mark.parametrize(
    ("section", "doubt"),
    [
        ("@systemd\n@unreadable /etc/sysctl.d", "/etc/sysctl.d could not be read"),
        ("@systemd\n/etc/stranger:1:net.ipv4.conf.all.rp_filter=1", "a line was not understood"),
        ("@systemd\n@read /a\n" + "/a:1:x\n" * MAX_BOOT_LINES, "the rest was not read"),
        ("@systemd\n@read /a\n/a:1:" + "x" * 400, "a line was not understood"),
        ("@read /etc/sysctl.d/a.conf", "systemd does not run"),
    ],
)
def test_what_was_not_read_is_told(section: str, doubt: str) -> None:
    found = boot_sysctls(read_boot_files(section), KEYS)[1]
    assert found is not None
    assert doubt in found


# --- by real programs -------------------------------------------------------------------------------------------------

ODD: dict[str, str | Path | None] = {
    "/usr/lib/sysctl.d/50-default.conf": VENDOR,
    "/usr/lib/sysctl.d/60-masked.conf": "net.ipv4.conf.all.rp_filter=1\n",
    "/etc/sysctl.d/60-masked.conf": None,
    "/usr/local/lib/sysctl.d/70 odd: name.conf": "net/ipv4/conf/eth0/rp_filter = 1\nkernel.secret = hunter2\n",
    "/run/sysctl.d/80-run.conf": "net.ipv4.conf.eth?.log_martians = 1\nnet.ipv4.conf.eth1.accept_local=0\n",
    "/etc/sysctl.conf": "net.ipv4.conf.all.rp_filter = 0\n",
    "/etc/sysctl.d/99-sysctl.conf": Path("../sysctl.conf"),
    "/etc/sysctl.d/README": "net.ipv4.conf.all.rp_filter = 7\n",
}


@pytest.mark.parametrize("shell", ["dash -s", "bash -s", "busybox ash -s"])
def test_collected(tmp_path: Path, shell: str) -> None:
    require(shell.split()[0])
    data = collect_configured(tmp_path, ODD, shell=shell)
    assert b"hunter2" not in data
    found = read_guest(data, via="file").boot
    assert found is not None
    assert found.unknown["sysctls"].startswith("/run/sysctl.d/80-run.conf is gone at the next boot")
    assert [found.sysctls[key].value for key in KEYS] == [0, 2, 2, 1, 2]
    assert found.sysctls[KEYS[0]].source == "/etc/sysctl.d/99-sysctl.conf:1"
    assert found.sysctls[KEYS[3]].source == "/usr/local/lib/sysctl.d/70 odd: name.conf:1"


def test_as_systemd_sysctl_does_it(tmp_path: Path) -> None:
    """The oracle: systemd's own program applies the same files, and the kernel tells what came of it."""
    program = shutil.which("systemd-sysctl", path="/usr/lib/systemd:/lib/systemd")
    if program is None:
        require("systemd-sysctl")
    files: dict[str, str | Path | None] = {
        **ODD,
        "/etc/sysctl.d/90-more.conf": "net.ipv4.conf.*.arp_ignore=1\n-net.ipv4.conf.eth0.arp_ignore\n"
        "net.ipv4.conf.eth*.arp_announce=2\nnet.ipv4.conf.*.arp_announce=1\nnet.ipv4.conf.eth[0]*.arp_announce=0\n"
        "net.ipv4.conf.all.arp_announce=1\nnet.ipv4.*.eth1.src_valid_mark=1\n"
        "/net/ipv4//./conf/eth1/drop_gratuitous_arp=1\nnet.ipv4.conf.[^e]*.arp_notify=1\n"
        "*.ipv4.conf.eth1.accept_source_route=1\n",
    }  # fmt: skip
    before = configured_guest(tmp_path, files)
    assert before.boot is not None
    assert before.sysctls[KEYS[1]] == 0
    after = applied(tmp_path, files, f"{program} --prefix=/net/ipv4/conf")
    wrong = {
        key: (value.value, after.sysctls[key])
        for key, value in before.boot.sysctls.items()
        if value.value != after.sysctls[key]
    }
    assert wrong == {}
    unset = [
        key
        for key, value in after.sysctls.items()
        if value != before.sysctls[key] and key not in before.boot.sysctls and "forwarding" not in key
    ]
    assert unset == []
    assert len(before.boot.sysctls) > 15


def applied(folder: Path, files: dict[str, str | Path | None], program: str) -> Guest:
    """The guest after the program has read the files."""
    return read_guest(collect_configured(folder, files, first=program), via="file")


def test_unreadable_files_are_not_absent_ones(tmp_path: Path) -> None:
    guest = configured_guest(tmp_path, ODD, unreadable=("/run/sysctl.d/80-run.conf",))
    assert guest.boot is not None
    assert guest.boot.unknown["sysctls"] == "/run/sysctl.d/80-run.conf could not be read"
    assert guest.missing == {}


def test_without_systemd_nothing_is_told(tmp_path: Path) -> None:
    guest = configured_guest(tmp_path, ODD, systemd=False)
    assert guest.boot is not None
    assert guest.boot.sysctls == {}
    assert "systemd does not run" in guest.boot.unknown["sysctls"]


def test_a_snapshot_keeps_it(tmp_path: Path) -> None:
    guest = configured_guest(tmp_path, ODD)
    assert guest.boot is not None
    assert guest.boot.sysctls
    assert msgspec.json.decode(msgspec.json.encode(guest), type=Guest) == guest
