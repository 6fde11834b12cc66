"""The commands, run as root by real shells on a copy of /etc: whole or not at all, once or twice, exactly undone."""

import pytest

from tests.support.boot_sandbox import BASES, SECONDARY, kept, machine, needed, owned
from tests.support.sshd import require
from vnicheck.fixes.persist.shell import add_block, write_file
from vnicheck.model.guest import Manager
from vnicheck.model.plan import Action, File

pytestmark = pytest.mark.root

SHELLS = ("dash", "bash", "busybox ash")
FILE_WRITERS = tuple(manager for manager in Manager if manager is not Manager.NETWORK_MANAGER)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("manager", FILE_WRITERS)
def test_done_twice_and_undone(manager: Manager, shell: str) -> None:
    require(shell.split()[0])
    path = needed(manager)
    actions = kept(owned(SECONDARY, manager)).actions
    with machine(BASES[manager]) as host:
        before = host.tree()
        host.perform(actions, shell=shell, path=path)
        after = host.tree()
        for action in actions:
            if action.file is not None:
                assert host.read(action.file.path) == action.file.text
                assert host.sh(f"stat -c %a {action.file.path}").stdout == f"{action.file.mode:o}\n"
        host.perform(actions, shell=shell, path=path)
        assert host.tree() == after
        host.perform(actions, shell=shell, path=path, undo=True)
        assert not set(before) - set(host.tree())
        assert {line.split()[0] for line in set(host.tree()) - set(before)} <= {"network/interfaces.d"}
        host.perform(actions, shell=shell, path=path, undo=True)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("manager", FILE_WRITERS)
def test_what_is_there_is_not_overwritten_nor_removed(manager: Manager, shell: str) -> None:
    require(shell.split()[0])
    path = needed(manager)
    first = kept(owned(SECONDARY, manager)).actions[0]
    with machine(BASES[manager]) as host:
        host.perform([first], shell=shell, path=path)
        place = next(word for word in first.summary.split() if word.startswith("/etc/"))
        host.sh(f"sed -i 's/10.0.0.1 /10.0.0.2 /; s/10.0.0.12/10.0.0.99/' {place}")
        edited = host.tree()
        said = host.refusal(first, shell=shell, path=path)
        assert said.count("\n") == 1
        assert place in said
        assert host.tree() == edited
        if first.file is not None:
            done = host.sh(first.undo or "", shell=shell, check=False)
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)
            assert host.tree() == edited


def test_a_link_in_our_place_is_not_followed() -> None:
    commands = write_file(File(path="/etc/sysctl.d/zz-vnicheck-eth1.conf", text="a\n"))
    with machine() as host:
        host.sh("mkdir -p /etc/sysctl.d; ln -s /etc/made-through-a-link /etc/sysctl.d/zz-vnicheck-eth1.conf")
        before = host.tree()
        done = host.sh(commands.command, check=False)
        assert done.returncode == 1
        assert host.tree() == before


@pytest.mark.parametrize("shell", SHELLS)
def test_a_full_disk_leaves_nothing(shell: str) -> None:
    require(shell.split()[0])
    whole = write_file(File(path="/etc/small/file", text="x" * 20000 + "\n"))
    block = add_block("/etc/small/others", "eth1-1", ["x" * 20000])
    with machine() as host:
        host.sh("mkdir /etc/small && mount -t tmpfs -o size=8k tmpfs /etc/small && echo old >/etc/small/others")
        for commands in (whole, block):
            assert host.sh(commands.command, shell=shell, check=False).returncode != 0
            assert host.sh("ls -A /etc/small; cat /etc/small/others").stdout == "others\nold\n"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "before", ["", "\n", "a", "a\n", "a\nb", "a\n\n", "# vnicheck eth1-10 begin more\nx\n# vnicheck eth1-10 end\n"]
)
def test_a_block_is_undone_to_the_byte(before: str, shell: str) -> None:
    require(shell.split()[0])
    commands = add_block("/etc/some file", "eth1-1", ["one 'line'", "two $HOME `id` \\n %s"])
    with machine({"/etc/some file": before}) as host:
        host.sh("chmod 640 '/etc/some file'; chown 7:8 '/etc/some file'")
        tree = host.tree()
        host.sh(commands.command, shell=shell)
        separator = "\n" if before and not before.endswith("\n") else ""
        how = "cut" if separator else "more"
        assert host.read("/etc/some file") == (
            f"{before}{separator}# vnicheck eth1-1 begin {how}\none 'line'\ntwo $HOME `id` \\n %s\n"
            "# vnicheck eth1-1 end\n"
        )
        host.sh(commands.undo, shell=shell)
        assert host.tree() == tree


def test_two_plans_share_a_file_and_are_undone_in_any_order() -> None:
    first, second = (add_block("/etc/shared", f"eth1-{number}", [f"line {number}"]) for number in (1, 2))
    with machine() as host:
        for commands in (first, second):
            host.sh(commands.command)
        host.sh(first.undo)
        assert host.read("/etc/shared") == "# vnicheck eth1-2 begin more\nline 2\n# vnicheck eth1-2 end\n"
        host.sh(second.undo)
        assert host.read("/etc/shared") == ""


def test_a_folder_that_is_not_there_is_told() -> None:
    commands = add_block("/etc/no/such/file", "eth1-1", ["a"])
    with machine() as host:
        done = host.sh(commands.command, check=False)
        assert (done.returncode, done.stderr) == (1, "/etc/no/such/file: there is no such folder\n")
        host.sh(commands.undo)


def test_lines_in_assignments_are_not_added_to() -> None:
    (route, _) = kept(owned(SECONDARY, Manager.NETWORK_SCRIPTS)).actions
    with machine({"/etc/sysconfig/network-scripts/route-eth1": "ADDRESS0=10.9.0.0\nGATEWAY0=10.0.0.1\n"}) as host:
        said = host.refusal(route)
        assert said == "/etc/sysconfig/network-scripts/route-eth1 is written in assignments, which know no tables\n"


LEADS = (
    "source /etc/network/interfaces.d/*",
    "source interfaces.d/*",
    "  source-directory /etc/network/interfaces.d",
    "source-directory interfaces.d/",
)
LEADS_ELSEWHERE = (
    "source /etc/network/interfaces.d/*.cfg",
    "# source /etc/network/interfaces.d/*",
    "source-directory /run/network/interfaces.d",
    "",
)


@pytest.mark.parametrize("line", [*LEADS, *LEADS_ELSEWHERE])
def test_a_source_line_only_where_none_leads_there(line: str) -> None:
    (_, source) = kept(owned(SECONDARY, Manager.IFUPDOWN)).actions
    with machine({"/etc/network/interfaces": f"auto lo\n{line}\n"}) as host:
        host.perform([source])
        added = "source /etc/network/interfaces.d/vnicheck-eth1-1003" in host.read("/etc/network/interfaces")
        assert added is (line in LEADS_ELSEWHERE)
        host.perform([source], undo=True)
        assert host.read("/etc/network/interfaces") == f"auto lo\n{line}\n"


STRANGE = (
    "a b",
    "$(touch /etc/pwned)",
    "`touch /etc/pwned`",
    "'; touch /etc/pwned; '",
    "--help",
    "%s\\n",
    "*",
    "~",
    "a\tb",
    "\u00e9",
)


@pytest.mark.parametrize("shell", SHELLS)
def test_texts_and_paths_mean_only_themselves(shell: str) -> None:
    require(shell.split()[0])
    text = "".join(f"{word}\n" for word in STRANGE)
    with machine() as host:
        before = host.tree()
        for word in STRANGE:
            place = "/etc/" + word.replace("/", "|")
            file = write_file(File(path=f"{place}/file", text=text), own_folder=True)
            for commands in (file, add_block(f"{place} too", "label", STRANGE)):
                host.sh(commands.command, shell=shell)
                where = f"{place}/file" if commands is file else f"{place} too"
                assert text in host.read(where)
                assert "/etc/pwned" not in host.sh("ls -d /etc/*").stdout.split()
                host.sh(commands.undo, shell=shell)
        assert host.tree() == before


def test_an_action_of_no_file_has_none() -> None:
    for manager in (Manager.WICKED, Manager.NETWORK_SCRIPTS, Manager.NETWORK_MANAGER):
        actions: tuple[Action, ...] = kept(owned(SECONDARY, manager)).actions
        assert all(action.file is None for action in actions)


OURS = "# vnicheck eth1-1 begin more\none\ntwo\n# vnicheck eth1-1 end\n"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "after",
    [
        "a\n" + OURS.replace("# vnicheck eth1-1 end\n", "") + "an admin's\n",
        "a\n" + OURS.replace("# vnicheck eth1-1 begin more\n", "") + "an admin's\n",
        "a\n" + OURS.replace("two", "three") + "an admin's\n",
        "a\n" + OURS.replace("two\n", "two\nan admin's\n"),
        "a\n" + OURS + "an admin's\n" + OURS,
        "a\n# vnicheck eth1-1 end\n" + OURS.replace("# vnicheck eth1-1 end\n", "") + "an admin's\n",
        "a\n" + OURS.replace("begin more", "begin") + "an admin's\n",
    ],
    ids=["no end", "no begin", "edited", "added to", "twice", "the wrong way round", "another mark"],
)
def test_a_block_that_is_not_whole_and_ours_is_left(after: str, shell: str) -> None:
    require(shell.split()[0])
    commands = add_block("/etc/shared", "eth1-1", ["one", "two"])
    with machine({"/etc/shared": after}) as host:
        tree = host.tree()
        done = host.sh(commands.undo, shell=shell, check=False)
        assert done.returncode == 1
        assert (
            done.stderr
            == "/etc/shared: the lines of vnicheck's there were changed since; look at them and remove them\n"
        )
        assert host.tree() == tree


@pytest.mark.parametrize("before", ["a", "a\n", ""])
def test_what_others_wrote_behind_a_block_stays_as_it_is(before: str) -> None:
    commands = add_block("/etc/shared", "eth1-1", ["one", "two"])
    with machine({"/etc/shared": before}) as host:
        host.sh(commands.command)
        host.sh("printf 'later\\n\\n' >>/etc/shared")
        host.sh(commands.undo)
        separator = "\n" if before and not before.endswith("\n") else ""
        assert host.read("/etc/shared") == f"{before}{separator}later\n\n"


def test_an_undoing_on_a_full_disk_leaves_the_file_whole() -> None:
    commands = add_block("/etc/small/others", "eth1-1", ["one", "two"])
    with machine() as host:
        host.sh("mkdir /etc/small && mount -t tmpfs -o size=16k tmpfs /etc/small && echo old >/etc/small/others")
        host.sh(commands.command)
        host.sh("cat /dev/zero >/etc/small/filler || :")
        before = host.sh("ls -A /etc/small; cat /etc/small/others").stdout
        assert host.sh(commands.undo, check=False).returncode == 1
        assert host.sh("ls -A /etc/small; cat /etc/small/others").stdout == before


def test_what_is_there_already_says_so() -> None:
    for commands in (write_file(File(path="/etc/whole", text="a\n")), add_block("/etc/shared", "eth1-1", ["one"])):
        with machine() as host:
            assert host.sh(commands.command).stdout == ""
            assert host.sh(commands.command).stdout == "there already\n"
