"""What of a command's options those that it suggests need too."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vnicheck.cli.bundles import Credentials, Fleet, Options, Selection, Ssh, parameters_of
from vnicheck.report.commands import Carried

_ELSEWHERE = {"region", "guest", "guest_dir"}


def carried(
    selection: Selection,
    ssh: Ssh,
    *,
    fleet: Fleet | None = None,
    snapshot: Path | None = None,
    config_file: Path | None = None,
    observations: Sequence[Path] | None = None,
) -> Carried:
    """The options by where they belong."""
    return Carried(
        always=(
            *_words(selection, without=_ELSEWHERE),
            *_words(ssh),
            *_files("--config", [config_file] if config_file is not None else ()),
        ),
        seen=tuple(_files("--observations", observations or ())),
        saved=(
            *_files("--snapshot", [snapshot] if snapshot is not None else ()),
            *(word for each in selection.guest or () for word in ("--guest", each)),
            *_files("--guest-dir", [selection.guest_dir] if selection.guest_dir is not None else ()),
        ),
        regions=tuple(dict.fromkeys(selection.region or ())),
        all_regions=fleet is not None and fleet.all_regions,
    )


def carried_by_change(credentials: Credentials, ssh: Ssh, *, regions: Sequence[str], sudo: bool) -> Carried:
    """What undoes a change: SSH, root and credentials as they were to make it."""
    own = tuple(_words(credentials, of=Credentials))
    return Carried(always=(*own, *_words(ssh), *(["--sudo"] if sudo else [])), regions=tuple(regions))


def _files(option: str, files: Sequence[Path]) -> Iterator[str]:
    for each in files:
        yield from (option, str(each))


def _words(
    group: Options, *, of: type[Options] | None = None, without: frozenset[str] | set[str] = frozenset()
) -> Iterator[str]:
    """`--ssh-user root`: of a group's options those that were given."""
    for _, parameter in parameters_of(of or type(group)):
        value = getattr(group, parameter.name)
        if parameter.name in without or value == parameter.default:
            continue
        names = parameter.annotation.__metadata__[0].param_decls
        name = next(each for each in names if each.startswith("--"))
        for each in value if isinstance(value, list) else [value]:
            yield from [name] if each is True else [name, str(each)]
