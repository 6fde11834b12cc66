"""The server's kernel asked: a script with all questions, its answers read, and each held against the prediction."""

import re
from collections.abc import Sequence

from msgspec import UNSET, Struct
from msgspec.structs import replace

from vnicheck.guest.errors import CollectionError
from vnicheck.model.address import is_address
from vnicheck.model.flow import DropCode
from vnicheck.model.verification import AskedHop, Conclusion, KernelAnswer, KernelSays
from vnicheck.model.words import one_line
from vnicheck.verify.questions import Asked, Expected, leaves_words

_HEAD = "@vnicheck-verify 1"
_TAIL = "@vnicheck-end"
_FAILED = re.compile(r"Command failed -:([0-9]+)")
_NOT_UNDERSTOOD = re.compile(r"is a garbage|is wrong|invalid argument '|is unknown|[Uu]sage:|not found|BusyBox")
"""What `ip` itself says of a word that it does not know, or the shell of `ip`: no answer of the kernel."""
_REFUSED = re.compile(
    r"Network is unreachable|No route to host|Invalid cross-device link|Invalid argument$|Permission denied"
)
"""What the kernel says where no route leads there, or its source check (EXDEV, EINVAL) or a rule (EACCES) refuses; any
other error is none of a packet's.
"""
_SCRIPT = """\
PATH=$PATH:/usr/sbin:/sbin LC_ALL=C
export PATH LC_ALL
vnicheck_questions() {
cat <<'vnicheck_end'
@QUESTIONS@
vnicheck_end
}
echo "@HEAD@"
case $(ip -V 2>&1) in
*iproute2*)
  vnicheck_questions | ip -o -force -batch - 2>&1 >/dev/null | sed 's/^/! /'
  vnicheck_questions | ip -o -force -batch - 2>/dev/null | sed 's/^/= /'
  ;;
*)
  vnicheck_questions | while read -r vnicheck_line; do
    # shellcheck disable=SC2086 # words of ours
    echo "? $(ip $vnicheck_line 2>&1 | tr '\\n' ' ')"
  done
  ;;
esac
echo "@TAIL@"
"""


class Answered(Struct, frozen=True):
    """What the kernel says of a packet: `ip`'s line, and whether that is a refusal."""

    line: str
    refused: bool


def script(commands: Sequence[str]) -> str:
    """POSIX sh that asks all questions (words for `ip`); no root is needed, and nothing is sent."""
    lines = "\n".join(commands)
    return _SCRIPT.replace("@QUESTIONS@", lines).replace("@HEAD@", _HEAD).replace("@TAIL@", _TAIL)


def read_answers(output: str, count: int) -> list[Answered | None]:
    """One answer a question, None where there is none. Raises CollectionError where the output is not the script's."""
    lines = output.splitlines()
    if _HEAD not in lines or _TAIL not in lines:
        raise CollectionError("guest_unreadable", "the questions to the kernel were not answered to their end")
    lines = lines[lines.index(_HEAD) + 1 : lines.index(_TAIL)]
    one_by_one = [line[2:] for line in lines if line.startswith("? ")]
    if one_by_one:
        return [_plain(line) for line in one_by_one] if len(one_by_one) == count else [None] * count
    refused: dict[int, str] = {}
    said = ""
    for line in (line[2:] for line in lines if line.startswith("! ")):
        match = _FAILED.search(line)
        if match is None:
            said = line
        else:
            refused[int(match[1]) - 1] = said
            said = ""
    given = iter([line[2:] for line in lines if line.startswith("= ")])
    answers: list[Answered | None] = []
    for number in range(count):
        if number in refused:
            answers.append(Answered(refused[number], refused=True))
        else:
            answer = next(given, None)
            answers.append(None if answer is None else Answered(answer, refused=False))
    # more answers than questions: they cannot be told apart
    return answers if next(given, None) is None else [None] * count


def _plain(line: str) -> Answered | None:
    return Answered(line, refused=line.startswith(("RTNETLINK", "ip:", "Error"))) if line.strip() else None


def conclude(asked: Asked, answered: Answered | None) -> KernelAnswer:
    """What an answer says of a prediction."""
    expected = asked.expected
    says = None if answered is None else _says(asked, answered)
    why = None
    conclusion: Conclusion = "not_tested"
    if answered is None or says is None:
        why = "the kernel's answer is missing"
    elif answered.refused and _NOT_UNDERSTOOD.search(answered.line):
        why = "the server's ip does not know the question"
    elif not answered.line.strip() or (answered.refused and not _REFUSED.search(answered.line.strip())):
        why = "that is an error, and no answer"
    elif expected.outcome == "unknown":
        # `ip route get` knows no marks, filters or choice among equal routes: it settles nothing that rests on these
        why = expected.why
    else:
        conclusion = "confirmed" if _agrees(expected, says) else "contradicted"
    hops = asked.hops
    if conclusion != "contradicted":
        hops = tuple(replace(hop, remotes=UNSET, ports=UNSET) for hop in hops if _is_of(hop, says))
    return KernelAnswer(
        command=f"ip {asked.question.command}",
        predicted=str(expected),
        answered=None if answered is None or says is None else _said(says, answered),
        conclusion=conclusion,
        flows=asked.flows,
        why=why,
        hops=hops,
        says=says if conclusion == "contradicted" else None,
    )


def _agrees(expected: Expected, says: KernelSays) -> bool:
    if expected.outcome == "leaves":
        return says.outcome == "leaves" and (says.interface, says.gateway) in expected.ways
    return says.outcome == expected.outcome


def _is_of(hop: AskedHop, says: KernelSays | None) -> bool:
    """Whether an answer is about the hop: where equal routes lead out, that is one of several."""
    return says is None or says.outcome != "leaves" or hop.at == says.interface


def _says(asked: Asked, answered: Answered) -> KernelSays | None:
    """What the answer comes to; None of one to another question."""
    comes_in = asked.question.interface is not None
    if answered.refused:
        return KernelSays(outcome="drops", drop=_drop(asked, answered.line))
    words = _words_of(answered)
    if asked.question.destination not in words[:2]:
        return None
    if words[0] == "local" and comes_in:
        return KernelSays(outcome="taken")
    if words[0] in {"local", "broadcast"} and not comes_in:
        return KernelSays(outcome="drops", drop=DropCode.UNREACHABLE)
    if comes_in:
        return KernelSays(outcome="unclear", why="what the guest forwards, or takes as a broadcast, is not followed")
    device, via, encapsulated = (_value(words, key) for key in ("dev", "via", "encap"))
    plain = words[0] == asked.question.destination and encapsulated is None
    if not plain or device is None or (via is not None and not is_address(via)):
        return KernelSays(outcome="unclear", why="such a route is not followed")
    return KernelSays(outcome="leaves", interface=one_line(device, 20), gateway=via)


def _drop(asked: Asked, error: str) -> DropCode:
    """The code of what the kernel refuses, as far as its error tells."""
    if asked.question.interface is None:
        code = DropCode.NO_ROUTE
        codes = {
            "Permission denied": DropCode.PROHIBIT,
            "No route to host": DropCode.UNREACHABLE,
            "Invalid argument": DropCode.BLACKHOLE,
        }
    else:
        code = DropCode.NOT_LOCAL
        codes = {"Invalid cross-device link": DropCode.RP_FILTER, "Invalid argument": asked.refusal}
    return next((codes[words] for words in codes if words in error), code)


def _words_of(answered: Answered) -> list[str]:
    return answered.line.replace("\\", " ").split()


def _value(words: list[str], key: str) -> str | None:
    """What follows a word; names of interfaces may look like such words."""
    place = 2 if words and words[0] in _TYPES else 1
    while place + 1 < len(words):
        if words[place] == key:
            return words[place + 1]
        place += 2 if words[place] in _PAIRS else 1
    return None


_TYPES = {"local", "broadcast", "multicast", "blackhole", "unreachable", "prohibit", "throw"}
_PAIRS = {"from", "via", "dev", "table", "src", "uid", "iif", "mark", "tos", "realm", "realms", "metric", "scope"}


def _said(says: KernelSays, answered: Answered) -> str:
    """In the words of `Expected`; else the line itself."""
    if answered.refused:
        return f"refused: {one_line(answered.line.removeprefix('RTNETLINK answers: '), 100)}"
    if says.outcome == "leaves" and says.interface is not None:
        return leaves_words(says.interface, says.gateway)
    return "taken" if says.outcome == "taken" else one_line(" ".join(_words_of(answered)), 100)


def follow(answer: KernelAnswer, route: Answered | None) -> KernelAnswer:
    """A contradiction by a way out, as far as it can be followed. `route`: what `ip route get fibmatch` says, the route
    itself: of one with several next hops the kernel chose, and may choose otherwise for another packet.
    """
    # ip without fibmatch (before iproute2 4.13, busybox) refuses, or says the same as without it
    words = [] if route is None or route.refused else _words_of(route)
    says = answer.says
    if says is None or (says.interface == _value(words, "dev") and not {"from", "nexthop"} & set(words)):
        return answer
    why = "by one of several next hops" if "nexthop" in words else "perhaps by one of several next hops"
    return replace(answer, says=KernelSays(outcome="unclear", why=why))


def is_way_out(answer: KernelAnswer) -> bool:
    """Whether it contradicts by a way out."""
    return answer.says is not None and answer.says.outcome == "leaves"


def route_question(asked: Asked) -> str:
    """The command for the route by which the kernel answers."""
    return asked.question.command.replace("route get ", "route get fibmatch ", 1)
