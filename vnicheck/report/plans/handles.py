"""What servers are called where a user or a tool must choose one of them: never by a word that means another."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count

from vnicheck.model.plan import InstancePlan
from vnicheck.report.plans.plain import said

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_RESERVED = {"all", "ungrouped", "localhost", "127.0.0.1"}
"""Every host, those of no group, and the machine that Ansible runs on, in every inventory."""


def handles(plans: Sequence[InstancePlan]) -> list[tuple[str, ...]]:
    """For each server the words that mean it and no other: its name and its id. A name that is another's id is not."""
    ids = Counter(said(instance.id) for instance in plans)
    words = Counter(word for instance in plans for word in {said(instance.id), said(instance.name)})
    found = []
    for instance in plans:
        name, own_id = said(instance.name), said(instance.id)
        ways = ([name] if words[name] == 1 else []) + ([own_id] if ids[own_id] == 1 else [])
        found.append(tuple(word for word in dict.fromkeys(ways) if word))
    return found


def hosts(plans: Sequence[InstancePlan]) -> Iterator[str]:
    """Each server's name, where that means no other and no pattern of hosts, or its id; a number where neither does."""
    taken = {word for instance in plans for word in (instance.name, instance.id)}
    for number, ways in enumerate(handles(plans), 1):
        fit = (word for word in ways if _HOST.fullmatch(word) and word.lower() not in _RESERVED)
        numbers = (f"server_{each}" for each in count(number))
        host = next(fit, None) or next(word for word in numbers if word not in taken)
        taken.add(host)
        yield host
