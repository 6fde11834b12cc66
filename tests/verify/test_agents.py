"""What is heard of agents: real shells and agents on this machine, which send nothing."""

import pytest

from vnicheck.guest.ssh.sudo import Root
from vnicheck.verify.agents import AgentError, Place, ask


def here(before: bytes) -> Place:
    """This machine, with what a login prints before the script is read."""
    return Place(name="web-1", root=Root("sh -s", lead=before))


@pytest.mark.parametrize(
    "before",
    [b"echo Welcome", b"echo; echo '** authorized use only **'; echo '{}'; echo '[1]'", b"printf 'no end of line> '"],
)
def test_what_a_profile_prints_is_passed_over(before: bytes) -> None:
    assert ask(here(before + b"\n"), ["127.0.0.1"]).sources == {"127.0.0.1": "127.0.0.1"}


@pytest.mark.parametrize(
    ("instead", "code", "words"),
    [
        (b"echo Welcome to web-1; exit", "agent_unreadable", "'Welcome to web-1' is not what the agent says"),
        (b"exit", "agent_silent", "ended, or says nothing"),
        (b"echo Welcome; echo @vnicheck-no-python; exit", "agent_no_python", "no Python 3.6 or later"),
    ],
)
def test_where_no_agent_comes_it_is_told_what_came(instead: bytes, code: str, words: str) -> None:
    with pytest.raises(AgentError, match=words) as caught:
        ask(here(instead + b"\n"), ["127.0.0.1"])
    assert caught.value.problem.code == code
