"""The sh form: in dash, bash and busybox, what it calls word by word, and what it leaves in a real kernel."""

import subprocess
from pathlib import Path

import pytest

from tests.support.plan_documents import document, patches, persist, with_actions
from tests.support.plans import commands, planned
from tests.support.shells import SHELLS, Sandbox, parses
from tests.support.sshd import require, require_root
from vnicheck.report.plans.sh import render_sh

TABLE = "ip<route><add><10.0.0.0/24><dev><eth1><table><1003>"
DEFAULT = "ip<route><add><default><via><10.0.0.1><dev><eth1><table><1003>"
RULE = "ip<rule><add><from><10.0.0.12><table><1003><priority><1003>"


def deleted(*calls: str) -> list[str]:
    return [call.replace("<add>", "<del>") for call in reversed(calls)]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    require(name)
    return name


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


def test_apply_calls_what_the_plan_says_word_by_word(shell: str, sandbox: Sandbox) -> None:
    parses(shell, render_sh([document()]), sandbox.folder)
    done = sandbox.run(shell, render_sh([document()]))
    assert (done.returncode, done.stderr) == (0, "")
    assert sandbox.calls() == [TABLE, DEFAULT, RULE]
    assert [call.replace("><", " ").replace("<", " ").rstrip(">") for call in (TABLE, DEFAULT, RULE)] == commands(
        planned("strict")
    )
    assert "what is sent from 10.0.0.12 asks table 1003\n" in done.stdout


def test_a_step_that_fails_ends_it_and_what_was_done_is_undone_in_reverse(shell: str, sandbox: Sandbox) -> None:
    """The stand-in remembers no routes, so that one that cannot be told to stand is not undone: it must be asked."""
    marks = sandbox.folder / "marks"
    sandbox.stub(
        "ip",
        f"""case $* in
'-4 -o addr show') echo 'inet 10.0.0.11/24' ;;
'-4 route show table 1003') cat {marks} ;;
'route add default'*) echo '10.0.0.0/24 dev eth1 scope link\ndefault via 10.0.0.1 dev eth1' >{marks} ;;
'route add'*) echo '10.0.0.0/24 dev eth1 scope link' >{marks} ;;
'rule add'*) echo 'RTNETLINK answers: Operation not permitted' >&2; exit 2 ;;
esac""",
    )
    marks.touch()
    done = sandbox.run(shell, render_sh([document()]), "apply")
    assert done.returncode == 1
    assert sandbox.calls() == [TABLE, DEFAULT, RULE, *deleted(TABLE, DEFAULT)]
    assert done.stderr.splitlines() == [
        "RTNETLINK answers: Operation not permitted",
        "did not come about: what is sent from 10.0.0.12 asks table 1003",
        "nothing is left of what was done before that",
    ]


def test_an_undo_that_fails_is_told(shell: str, sandbox: Sandbox) -> None:
    keep = persist("/etc/x", "x\n", command=":", undo="echo stuck >&2; exit 3")
    fails = persist("/etc/y", "y\n", command="exit 7")
    done = sandbox.run(shell, render_sh([with_actions(document(), keep, fails)]), "persist")
    assert done.returncode == 1
    assert "COULD NOT UNDO: /etc/x keeps it" in done.stderr
    assert "nothing is left" not in done.stderr


def test_a_signal_undoes_what_was_done(shell: str, sandbox: Sandbox) -> None:
    kept, gone = sandbox.folder / "kept", sandbox.folder / "gone"
    first = persist("/etc/a", "a\n", command=f"touch {kept}", undo=f"rm {kept}")
    second = persist("/etc/b", "b\n", command=f"touch {gone}; kill -s TERM $$", undo=f"rm {gone}")
    third = persist("/etc/c", "c\n", command="echo too far >&2")
    done = sandbox.run(shell, render_sh([with_actions(document(), first, second, third)]), "persist")
    assert done.returncode == 143
    assert "too far" not in done.stderr
    assert not kept.exists()
    assert not gone.exists()


def test_only_root_on_the_right_host_gets_anywhere(shell: str, sandbox: Sandbox) -> None:
    script = render_sh([document()])
    sandbox.stub("ip", "case $* in '-4 -o addr show') echo '2: eth0 inet 10.0.0.111/24 110.0.0.12/8' ;; esac")
    for command in ("apply", "persist", "undo"):
        done = sandbox.run(shell, script, command)
        assert done.returncode == 1
        assert "this host is not server (server-id): it has none of 10.0.0.11 10.0.0.12" in done.stderr
    sandbox.stub("id", "echo 1000")
    done = sandbox.run(shell, script)
    assert (done.returncode, done.stderr) == (1, "not root: nothing was done\n")
    assert sandbox.calls() == []


def test_an_unknown_word_does_nothing(shell: str, sandbox: Sandbox) -> None:
    done = sandbox.run(shell, render_sh([document()]), "aply")
    assert done.returncode == 2
    assert "[apply|persist|undo|vpc|vpc-undo]" in done.stderr
    assert sandbox.calls() == []


def test_persist_writes_and_undo_takes_back_both(shell: str, sandbox: Sandbox) -> None:
    file = sandbox.folder / "etc" / "50 it's.conf"
    script = render_sh([with_actions(document(), persist(str(file), "a = $(x)\n'b'\n"))])
    assert "'persist' writes what the next boot keeps" in sandbox.run(shell, script).stdout
    assert not file.exists()
    assert sandbox.run(shell, script, "persist").returncode == 0
    assert file.read_text() == "a = $(x)\n'b'\n"
    assert sandbox.calls() == [TABLE, DEFAULT, RULE]
    done = sandbox.run(shell, script, "undo")
    assert done.returncode == 0
    assert not file.exists()
    assert done.stdout.count("nothing to undo") == 3  # the stand-in shows no routes


def test_the_vpc_is_changed_only_when_asked_and_not_by_root(shell: str, sandbox: Sandbox) -> None:
    script = render_sh([with_actions(document(), *patches())])
    sandbox.stub("id", "echo 1000")
    done = sandbox.run(shell, script, "vpc")
    assert (done.returncode, done.stderr) == (0, "")
    update = "ibmcloud<is><virtual-network-interface-update>"
    mode, spoofing = "<--protocol-state-filtering-mode>", "<--allow-ip-spoofing>"
    assert sandbox.calls() == [
        f"{update}<vni-id-1><--name><vni-1>{mode}<disabled>{spoofing}<true>",
        f"{update}<vni-id-2><--name><vni-2>{mode}<disabled>",
    ]
    assert sandbox.run(shell, script, "vpc-undo").returncode == 0
    assert sandbox.calls() == [
        f"{update}<vni-id-2><--name><vni-2>{mode}<enabled>",
        f"{update}<vni-id-1><--name><vni-1>{mode}<auto>{spoofing}<false>",
    ]
    sandbox.stub("id", "echo 0")
    assert "'vpc' changes the VNIs" in sandbox.run(shell, script).stdout
    assert not any(call.startswith("ibmcloud") for call in sandbox.calls())


def test_several_servers_are_told_apart_by_an_argument(shell: str, sandbox: Sandbox) -> None:
    one, other = document(), document("loose", id="other-id", name="other")
    twin = document("legacy", id="twin-id", name="other")
    script = render_sh([one, other])
    parses(shell, script, sandbox.folder)
    for arguments in ((), ("apply",), ("third", "apply")):
        done = sandbox.run(shell, script, *arguments)
        assert done.returncode == 2
        assert "  server (server-id)\n  other (other-id)\n" in done.stderr
    assert sandbox.calls() == []
    assert sandbox.run(shell, script, "server").returncode == 0
    assert sandbox.calls() == [TABLE, DEFAULT, RULE]
    assert sandbox.run(shell, script, "other-id", "apply").returncode == 0
    assert sandbox.calls() == [TABLE, DEFAULT, RULE]
    ambiguous = render_sh([one, other, twin])
    assert sandbox.run(shell, ambiguous, "other", "apply").returncode == 2
    assert sandbox.run(shell, ambiguous, "twin-id", "apply").returncode == 0
    sandbox.calls()
    named_as_an_id = render_sh([with_actions(document(name="other-id"), *patches()), other])
    assert sandbox.run(shell, named_as_an_id, "other-id", "vpc").returncode == 0
    assert sandbox.calls() == []
    assert sandbox.run(shell, named_as_an_id, "server-id", "vpc").returncode == 0
    assert sandbox.calls() != []
    assert sandbox.run(shell, render_sh([document(name="", id=""), other])).returncode == 2
    parses(shell, render_sh([other, other]), sandbox.folder)
    assert sandbox.run(shell, render_sh([other, other]), "other").returncode == 2


def test_a_plan_without_actions_says_so(shell: str, sandbox: Sandbox) -> None:
    script = render_sh([document("legacy", "state-filtering")])
    assert "# No fix for server" in script
    done = sandbox.run(shell, script)
    assert (done.returncode, done.stdout) == (0, "nothing to change on the running server\n")
    assert sandbox.run(shell, render_sh([]), "x").returncode == 2


NAMESPACE = """
set -e
ip link set lo up
for n in 0 1; do
	ip link add eth$n type veth peer name p$n; ip link set eth$n up; ip link set p$n up
done
ip addr add 10.0.0.11/24 dev eth0; ip addr add 10.0.0.12/24 dev eth1
sysctl -q -w net/ipv4/conf/eth1/rp_filter=1
show() {
	ip -4 route show table 1003 2>/dev/null || :; ip -4 rule show priority 1003; sysctl -n net/ipv4/conf/eth1/rp_filter
}
"""


def in_namespace(lines: str, folder: Path) -> str:
    """What the lines print in a network namespace of their own."""
    require_root()
    require("unshare", "ip", "sysctl")
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", f"{NAMESPACE}\ncd {folder}\n{lines}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ADDED = "default via 10.0.0.1 dev eth1 \n10.0.0.0/24 dev eth1 scope link \n1003:\tfrom 10.0.0.12 lookup 1003\n"


@pytest.mark.root
def test_a_real_kernel_is_as_planned_and_as_before_again(shell: str, tmp_path: Path) -> None:
    (tmp_path / "apply.sh").write_text(render_sh([document()]))
    (tmp_path / "loose.sh").write_text(render_sh([document("strict, no spoofing", "rp-filter")]))
    run = " ".join(SHELLS[shell])
    shown = in_namespace(
        f"{run} apply.sh; show; echo --; {run} apply.sh; show; echo --; {run} apply.sh undo; show; echo --; "
        f"{run} apply.sh undo",
        tmp_path,
    )
    first, again, undone, twice = shown.split("--\n")
    assert first.endswith(f"{ADDED}1\n")
    assert again.count("is so already") == 3
    assert again.endswith(f"{ADDED}1\n")
    assert undone.splitlines()[3:] == ["1"]
    assert twice.count("nothing to undo") == 3


@pytest.mark.root
def test_rp_filter_is_set_and_set_back(shell: str, tmp_path: Path) -> None:
    script = render_sh([document("strict", "rp-filter")])
    (tmp_path / "loose.sh").write_text(script)
    assert "sysctl -q -w net/ipv4/conf/eth1/rp_filter=2" in script
    run = " ".join(SHELLS[shell])
    shown = in_namespace(f"{run} loose.sh >&2; show; {run} loose.sh >&2; show; {run} loose.sh undo >&2; show", tmp_path)
    assert shown == "2\n2\n1\n"


@pytest.mark.root
def test_what_somebody_else_put_there_survives_a_step_that_it_stops(shell: str, tmp_path: Path) -> None:
    (tmp_path / "apply.sh").write_text(render_sh([document()]))
    run = " ".join(SHELLS[shell])
    shown = in_namespace(
        "ip route add default via 10.0.0.9 dev eth1 table 1003; "
        f"{run} apply.sh >out 2>&1 && exit 9; show; grep -c 'did not come about' out",
        tmp_path,
    )
    assert shown == "default via 10.0.0.9 dev eth1 \n1\n1\n"
