"""Many configurations over all processors, and the shrinking of one that disagrees."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from tests.lab.differential.agents import Agents
from tests.lab.differential.check import check
from tests.lab.differential.compare import Disagreement, Tally
from tests.lab.differential.generate import Generator
from tests.lab.differential.rtnetlink import Question

T = TypeVar("T")


def run(seed: str, configurations: int, progress: Callable[[int], None] = lambda done: None) -> Tally:
    """The tally of so many configurations, each named by the seed and its number (`commands_of`)."""
    total = Tally()
    jobs = ((f"{seed}/{number}",) for number in range(configurations))
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), maxtasksperchild=100) as pool:
        for done, tally in enumerate(pool.imap_unordered(_one, jobs, chunksize=2), 1):
            total.add(tally)
            progress(done)
    return total


def commands_of(name: str) -> list[str]:
    """The commands of a configuration: of a server with agents where the seed is `agents` and a number."""
    return (Agents(name) if name.startswith("agents") else Generator(name)).commands()


def _one(job: tuple[str]) -> Tally:
    name = job[0]
    tally = check(commands_of(name), name)
    for disagreement in tally.disagreements:
        tally.outcomes[f"disagrees: {name} {disagreement.what}"] += 1
    return tally


def shrink(name: str) -> tuple[list[str], Disagreement]:
    """The smallest configuration, by delta debugging over its commands, that still shows a disagreement."""
    commands = commands_of(name)
    first = _disagreement(commands, name, ())
    if first is None:
        raise LookupError(f"configuration {name} agrees")
    question = (first.question,) if first.question.proto else ()

    def fails(candidate: Sequence[str]) -> bool:
        found = _disagreement(candidate, name, question)
        return found is not None and found.what == first.what

    smallest = minimal(commands, fails)
    last = _disagreement(smallest, name, question)
    return smallest, last if last is not None else first


def _disagreement(commands: Sequence[str], name: str, also: Sequence[Question]) -> Disagreement | None:
    found = in_child(check, list(commands), name, also).disagreements
    return found[0] if found else None


def in_child(function: Callable[..., T], *arguments: object) -> T:
    """What the function returns, run in a process of its own: it may leave this one's network namespace."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        return pool.submit(function, *arguments).result()


def minimal(commands: list[str], fails: Callable[[Sequence[str]], bool]) -> list[str]:
    """The commands without those that can go, in runs or one by one, while it still fails."""
    size = max(len(commands) // 2, 1)
    while True:
        for start in _starts(len(commands), size):
            candidate = commands[:start] + commands[start + size :]
            if fails(candidate):
                commands = candidate
                break
        else:
            if size == 1:
                return commands
            size = max(size // 2, 1)


def _starts(length: int, size: int) -> Iterator[int]:
    return iter(range(length - size if length > size else 0, -1, -size))
