"""A plan as a POSIX sh script: `apply`, `persist`, `undo`, and the VPC's part only when asked for.

The script of one server is for that server alone. That of several takes the server's name or id as its first argument:
it does not guess from the host's name. Either one refuses where the host has none of the server's addresses.
"""

import shlex
from collections.abc import Iterable, Sequence

from vnicheck.fixes.vni_changes import vni_changes
from vnicheck.model.plan import Action, InstancePlan
from vnicheck.report.plans.handles import handles
from vnicheck.report.plans.header import comments
from vnicheck.report.plans.ibmcloud import export, vni_keys, vni_part
from vnicheck.report.plans.plain import plan_addresses, said, title
from vnicheck.report.plans.runner import RUNNER, SPLITS, Part, functions, keys

_APPLY = "sh {} apply     change the running server, now; the next boot forgets it (the default)"
_PERSIST = "sh {} persist   write it to the server's configuration, which changes nothing until the next boot"
_UNDO = "sh {} undo      take it back"
_VPC = "sh {} vpc       change the VNIs, by the ibmcloud CLI, from where it is logged in; vpc-undo sets them back"
_RULES = (
    "",
    "All but vpc and vpc-undo run on the server, as root. A step that fails ends it, and what was done before it is",
    "undone. Nothing undoes it if it cuts you off: 'vnicheck fix' without --dry-run applies the same plan under a",
    "timer on the server that does.",
)
_MAIN = r"""
on_the_server() {
	[ "$(id -u)" = 0 ] || { complain 'not root: nothing was done'; exit 1; }
	need $PROGRAMS
	for address in $ADDRESSES; do
		case $(ip -4 -o addr show) in *" $address/"*) return ;; esac
	done
	[ -z "$ADDRESSES" ] || { complain "this host is not $SERVER: it has none of $ADDRESSES; nothing was done"; exit 1; }
}

besides() {
	[ -z "$2" ] || say "that is not all: $1"
}

case ${1-apply} in
apply)
	[ -n "$STEPS" ] || say 'nothing to change on the running server'
	on_the_server
	run $STEPS
	besides "'persist' writes what the next boot keeps" "$KEEP"
	besides "'vpc' changes the VNIs" "$VNIS"
	;;
persist)
	[ -n "$KEEP" ] || say 'nothing to write to the configuration'
	on_the_server
	run $KEEP
	;;
undo)
	on_the_server
	take_back $UNDO
	besides "'vpc-undo' sets the VNIs back" "$VNIS"
	;;
vpc)
	[ -n "$VNIS" ] || say 'nothing to change in the VPC'
	need ibmcloud
	run $VNIS
	;;
vpc-undo)
	need ibmcloud
	take_back $UNDO_VNIS
	;;
*)
	complain "usage: sh $0 ${CHOOSE}[apply|persist|undo|vpc|vpc-undo]"
	exit 2
	;;
esac
"""


def render_sh(plans: Sequence[InstancePlan]) -> str:
    """The script of one server, or of several that takes the server as its first argument."""
    alone = len(plans) == 1
    head = comments(plans, _usage("apply.sh" if alone else "fix.sh SERVER", plans)) or "# Nothing to fix.\n"
    chosen = f"{_body(plans[0])}CHOOSE=''\n" if alone else _choice(plans)
    return f"#!/bin/sh\n{head}{SPLITS}set -eu\nPATH=$PATH:/usr/sbin:/sbin\n{export()}\n{chosen}{RUNNER}{_MAIN}"


def _usage(name: str, plans: Sequence[InstancePlan]) -> list[str]:
    """How the script is called, for what the plans have."""
    ways = {
        _APPLY: any(each.plan.immediate for each in plans),
        _PERSIST: any(each.plan.persistent for each in plans),
        _UNDO: any(each.plan.immediate or each.plan.persistent for each in plans),
        _VPC: any(vni_changes(each.plan.actions) for each in plans),
    }
    lines = [line.format(name) for line, there in ways.items() if there]
    return [*lines, *_RULES] if lines else []


def _body(instance: InstancePlan) -> str:
    """The functions of a server's steps, and the variables that name them."""
    plan = instance.plan
    now, keep = _parts("now", plan.immediate), _parts("keep", plan.persistent)
    changes = vni_changes(plan.actions)
    vnis = [vni_part(f"vni{number}", instance, change) for number, change in enumerate(changes, 1)]
    return (
        "\n".join(functions(part) for part in (*now, *keep, *vnis))
        + f"\nSERVER={shlex.quote(title(instance))}\n"
        + f"ADDRESSES={shlex.quote(' '.join(plan_addresses(plan)))}\n"
        + f"PROGRAMS={shlex.quote(' '.join(_programs(plan.immediate)))}\n"
        + f"STEPS={keys(now)}\nKEEP={keys(keep)}\nUNDO={keys((*keep[::-1], *now[::-1]))}\n"
        + vni_keys(vnis)
    )


def _parts(prefix: str, actions: Iterable[Action]) -> list[Part]:
    steps = [(said(action.summary), step) for action in actions for step in action.steps]
    return [Part(f"{prefix}{number}", what, step) for number, (what, step) in enumerate(steps, 1)]


def _programs(actions: Iterable[Action]) -> list[str]:
    """What the steps on the running server cannot do without."""
    return ["ip", "sysctl"] if any(action.kind == "sysctl" for action in actions) else ["ip"]


def _choice(plans: Sequence[InstancePlan]) -> str:
    """A function for each server that brings its own, and the choice by name or id."""
    bodies, arms, listing = [], [], []
    for number, (instance, ways) in enumerate(zip(plans, handles(plans), strict=True), 1):
        bodies.append(f"server_{number}() {{\n{_body(instance)}}}\n")
        if ways:
            arms.append(f"{'|'.join(map(shlex.quote, ways))}) server_{number} ;;\n")
        listing.append(f"\tprintf '  %s\\n' {shlex.quote(title(instance))} >&2\n")
    return (
        "\n".join(bodies)
        + "\ncase ${1-} in\n"
        + "".join(arms)
        + "*)\n\techo 'name the server that this host is; there are' >&2\n"
        + "".join(listing)
        + "\texit 2\n\t;;\nesac\nshift\nCHOOSE='SERVER '\n"
    )
