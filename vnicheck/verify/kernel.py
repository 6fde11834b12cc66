"""The server's kernel asked: a script with all questions, its answers read, and each held against the prediction."""

import re
from collections.abc import Sequence

from msgspec import Struct

from vnicheck.guest.errors import CollectionError
from vnicheck.model.verification import Conclusion, KernelAnswer
from vnicheck.model.words import one_line
from vnicheck.verify.questions import Asked, Expected

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


def script(asked: Sequence[Asked]) -> str:
    """POSIX sh that asks all questions; no root is needed, and nothing is sent."""
    lines = "\n".join(each.question.command for each in asked)
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
    said = None if answered is None else _said(answered)
    why = None
    conclusion: Conclusion
    if answered is None or said is None:
        conclusion, why = "not_tested", "the kernel's answer is missing"
    elif answered.refused and _NOT_UNDERSTOOD.search(answered.line):
        conclusion, why = "not_tested", "the server's ip does not know the question"
    elif not answered.line.strip() or (answered.refused and not _REFUSED.search(answered.line.strip())):
        conclusion, why = "not_tested", "that is an error, and no answer"
    elif expected.outcome == "unknown":
        # `ip route get` knows no marks, filters or choice among equal routes: it settles nothing that rests on these
        conclusion, why = "not_tested", expected.why
    else:
        conclusion = "confirmed" if _agrees(expected, said) else "contradicted"
    return KernelAnswer(
        command=f"ip {asked.question.command}",
        predicted=str(expected),
        answered=said,
        conclusion=conclusion,
        flows=asked.flows,
        why=why,
        hops=asked.hops,
    )


def _agrees(expected: Expected, said: str) -> bool:
    if expected.outcome == "drops":
        return said != "taken" and not said.startswith("leaves")
    return said == str(expected)


def _said(answered: Answered) -> str:
    """In the words of `Expected`; else the line itself."""
    words = answered.line.split()
    if answered.refused or not words:
        return f"refused: {one_line(answered.line.removeprefix('RTNETLINK answers: '), 100)}"
    if words[0] == "local":
        return "taken"
    if words[0] in {"blackhole", "unreachable", "prohibit", "broadcast", "multicast", "throw"}:
        return words[0]
    device = words[words.index("dev") + 1] if "dev" in words[:-1] else "?"
    if "iif" in words:
        return f"forwarded to {one_line(device, 20)}"
    return f"leaves by {one_line(device, 20)}"
