"""The part of every script that is the same: does steps in order, undoes them if one fails, takes them back.

POSIX sh, for dash, bash and busybox. The steps are functions: `title_N`, `do_N`, `undo_N`, and `is_N`, which answers 0
where the step's effect stands, 1 where it does not, 2 where there is no telling.
"""

import shlex
from collections.abc import Sequence

from msgspec import Struct

from vnicheck.model.plan import Step

SPLITS = "# shellcheck disable=SC2086 # lists of words are there to be split\n"
RUNNER = r"""
say() { printf '%s\n' "$*"; }

complain() { printf '%s\n' "$*" >&2; }

need() {
	for program in "$@"; do
		command -v "$program" >/dev/null 2>&1 || { complain "$program is not there: nothing was done"; exit 1; }
	done
}

# do the steps that are not done yet; if one fails, or a signal comes, undo those of this run
run() {
	finished='' current=''
	trap 'give_up 129' HUP
	trap 'give_up 130' INT
	trap 'give_up 143' TERM
	for each in "$@"; do
		if "is_$each"; then
			say "is so already: $("title_$each")"
			continue
		fi
		current=$each
		say "$("title_$each")"
		"do_$each" || give_up 1
		finished="$each $finished" current=''
	done
	trap - HUP INT TERM
}

# the step that failed is undone too where its effect stands, the one that was interrupted unless it does not
give_up() {
	trap '' HUP INT TERM
	if [ -n "$current" ]; then
		complain "did not come about: $("title_$current")"
		"is_$current" && stands=0 || stands=$?
		case $1$stands in *0 | 1??2) finished="$current $finished" ;; esac
	fi
	take_back $finished || exit "$1"
	complain 'nothing is left of what was done before that'
	exit "$1"
}

take_back() {
	stuck=0
	for each in "$@"; do
		"is_$each" && stands=0 || stands=$?
		if [ "$stands" = 1 ]; then
			say "nothing to undo: $("title_$each")"
			continue
		fi
		say "undo: $("title_$each")"
		"undo_$each" || { complain "COULD NOT UNDO: $("title_$each")"; stuck=1; }
	done
	return "$stuck"
}
"""


class Part(Struct, frozen=True):
    """A step as the runner knows it."""

    key: str
    title: str
    step: Step


def functions(part: Part) -> str:
    """The functions of a step; its commands run in a subshell, so that their variables and `exit` are their own."""
    check = "return 2" if part.step.check is None else part.step.check
    return (
        f"title_{part.key}() {{ say {shlex.quote(part.title)}; }}\n"
        f"is_{part.key}() {{ {check}; }}\n"
        f"do_{part.key}() (\n{part.step.command}\n)\n"
        f"undo_{part.key}() (\n{part.step.undo}\n)\n"
    )


def keys(parts: Sequence[Part]) -> str:
    """The keys as one quoted word, for the runner to split."""
    return shlex.quote(" ".join(part.key for part in parts))


def refusal(why: str) -> str:
    """A command that refuses, and says why."""
    return f"complain {shlex.quote('refused: ' + why)}; false"
