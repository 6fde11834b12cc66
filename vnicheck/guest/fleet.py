"""Many guests at once, in threads. What becomes of one server never touches another."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from vnicheck.guest.assemble import read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh import SshRunner
from vnicheck.guest.ssh_keys import AskPassphrase
from vnicheck.guest.ssh_options import SshOptions, SshTarget
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Problem

MAX_JOBS = 64
"""Beyond this paramiko gains nothing; below it, waiting for distant hosts costs more than their number."""

Result = Guest | Problem


def collect_many(
    targets: Sequence[SshTarget],
    options: SshOptions,
    *,
    jobs: int | None = None,
    on_done: Callable[[SshTarget, Result], None] | None = None,
    ask_passphrase: AskPassphrase | None = None,
) -> dict[str, Result]:
    """The guests by `SshTarget.key`, or the Problem that kept one from being read. `on_done` is called in this thread.

    Raises CollectionError `ssh_config` where the SSH configuration itself cannot be read.
    """
    results: dict[str, Result] = {}
    workers = max(1, min(len(targets), MAX_JOBS if jobs is None else jobs))
    with SshRunner(options, ask_passphrase) as runner:
        pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="ssh")
        try:
            futures = {pool.submit(_collect_one, runner, target): target for target in targets}
            for future in as_completed(futures):
                target = futures[future]
                results[target.key] = future.result()
                if on_done is not None:
                    on_done(target, results[target.key])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return {target.key: results[target.key] for target in targets}


def _collect_one(runner: SshRunner, target: SshTarget) -> Result:
    try:
        return read_guest(runner.collect(target), via="ssh")
    except CollectionError as error:
        return error.problem()
