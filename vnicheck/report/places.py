"""Where in a repository a finding is shown: at the server's Terraform block, else in `vnicheck.toml`.

A block's name may hold what only a run of Terraform knows (`"${var.prefix}-web"`); there any text may stand. Where two
blocks fit a server equally well, none is taken: a wrong line is worse than none.
"""

import re
from collections.abc import Iterator
from fnmatch import translate
from functools import cache
from glob import escape
from pathlib import Path
from typing import Any

from msgspec import Struct

from vnicheck.model.baseline import Earlier
from vnicheck.model.config import Config
from vnicheck.model.finding import Finding
from vnicheck.model.naming import names_server
from vnicheck.model.report import InstanceReport
from vnicheck.model.words import one_line
from vnicheck.report.writer import Location
from vnicheck.system.files import UnreadableError, read_file

CONFIG = "vnicheck.toml"
MAX_FILE = 1 << 20
MAX_FILES = 5000
SERVERS = frozenset({"ibm_is_instance", "ibm_is_bare_metal_server"})
VNIS = frozenset({"ibm_is_virtual_network_interface"})

_LITERAL = 3
"""A name that Terraform completes must have so many characters of its own to be told from others."""
_EXPECT = re.compile(r"\s*\[\[\s*expect\s*\]\]")


class Block(Struct, frozen=True):
    """A resource block. `pattern` matches the names that it may come to; `literal`: how many characters it states."""

    kind: str
    pattern: re.Pattern[str]
    literal: int
    exact: bool
    place: Location


class Anchors:
    """The places of one repository, whose root is `root`. `notes` tell of Terraform files that could not be read."""

    def __init__(
        self,
        root: Path,
        *,
        config: Config | None = None,
        config_file: Path | None = None,
        terraform: Path | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._root = root
        self._uri = _relative(config_file, root) if config_file is not None else CONFIG
        self._expected = [] if config is None or config_file is None else _expect_lines(config, config_file)
        self._blocks = [] if terraform is None else list(self._read(terraform))
        self._find = cache(self._best)

    def place(self, server: InstanceReport | Earlier, finding: Finding | Earlier) -> Location:
        """The line at which a finding is shown."""
        vni = _only_vni(server, finding)
        found = self._find(vni, VNIS) if vni is not None else None
        found = found or self._find(server.name, SERVERS)
        if found is not None:
            return found
        line = next((line for expectation, line in self._expected if names_server(expectation, server)), 1)
        return Location(uri=self._uri, line=line)

    def _best(self, name: str, kinds: frozenset[str]) -> Location | None:
        fitting = [block for block in self._blocks if block.kind in kinds and block.pattern.fullmatch(name)]
        if not fitting:
            return None
        best = max((block.exact, block.literal) for block in fitting)
        chosen = [block for block in fitting if (block.exact, block.literal) == best]
        return chosen[0].place if len(chosen) == 1 else None

    def _read(self, folder: Path) -> Iterator[Block]:
        files = sorted(path for path in folder.rglob("*.tf") if ".terraform" not in path.parts and path.is_file())
        if len(files) > MAX_FILES:
            self.notes.append(f"{folder} holds {len(files)} Terraform files; only {MAX_FILES} are looked at")
        for path in files[:MAX_FILES]:
            try:
                text = read_file(path, MAX_FILE).decode()
                if "ibm_is_" in text:
                    yield from blocks(text, _relative(path, self._root))
            except (OSError, UnicodeDecodeError, UnreadableError) as error:
                self.notes.append(f"{path} is passed over: {one_line(error, 120)}")
            except TerraformError as error:
                self.notes.append(f"{path} is passed over: it is no valid Terraform: {error}")


class TerraformError(ValueError):
    """Text that is no HCL; the message is a short line."""


def blocks(text: str, uri: str) -> Iterator[Block]:
    """The blocks of servers and VNIs that a Terraform file declares. Raises TerraformError."""
    from hcl2 import parses_to_tree
    from lark import Tree
    from lark.exceptions import LarkError

    try:
        tree = parses_to_tree(text if text.endswith("\n") else f"{text}\n")
    except (LarkError, RecursionError) as error:
        raise TerraformError(one_line(str(error).partition("\n")[0], 120)) from error
    (body,) = tree.children[:1] or [Tree("body", [])]
    for block in _subtrees(body, "block"):
        words = [_text(child) for child in block.children if _is(child, "string") or _is(child, "identifier")]
        if len(words) != 3 or words[0] != "resource" or words[1] not in SERVERS | VNIS:
            continue
        name = next((each for inner in _subtrees(block, "body") for each in _subtrees(inner, "attribute")
                     if _text(each.children[0]) == "name"), None)  # fmt: skip
        parts = None if name is None else _parts(name)
        if parts is None:
            continue
        literal = sum(len(part) for part in parts if part is not None)
        exact = None not in parts
        if exact or literal >= _LITERAL:
            # as a glob, which fnmatch makes a pattern of that never backtracks
            pattern = re.compile(translate("".join("*" if part is None else escape(part) for part in parts)))
            place = Location(uri=uri, line=block.meta.line, end_line=block.meta.end_line)
            yield Block(words[1], pattern, literal, exact, place)


def _parts(attribute: Any) -> list[str | None] | None:
    """The text of an attribute that is a string, None where something is put in; None for anything else."""
    for expression in _subtrees(attribute, "expr_term"):
        for string in _subtrees(expression, "string"):
            return [
                None if any(hasattr(inner, "data") for inner in part.children) else _text(part)
                for part in _subtrees(string, "string_part")
            ]
    return None


def _subtrees(tree: Any, kind: str) -> list[Any]:
    return [child for child in tree.children if _is(child, kind)]


def _is(child: Any, kind: str) -> bool:
    return getattr(child, "data", None) == kind


def _text(tree: Any) -> str:
    """What a name or a string says, without its quotes."""
    tokens = tree.scan_values(lambda _: True)
    return "".join(str(token) for token in tokens).strip().strip('"')


def _only_vni(server: InstanceReport | Earlier, finding: Finding | Earlier) -> str | None:
    """The name of the VNI that a finding is about: one that rests on a VNI's settings, and on no flow."""
    if isinstance(server, Earlier) or isinstance(finding, Earlier) or finding.flows:
        return None
    sources = {fact.source for fact in finding.evidence}
    vnis = [each.vni for each in server.interfaces if each.vni is not None]
    names = [vni.name for vni in vnis if f"GET /virtual_network_interfaces/{vni.id}" in sources]
    return names[0] if len(names) == 1 else None


def _expect_lines(config: Config, path: Path) -> list[tuple[str, int]]:
    """The server that each expectation names, with the line on which its table begins."""
    try:
        text = read_file(path, MAX_FILE).decode()
    except (OSError, UnicodeDecodeError, UnreadableError):  # a pipe is read only once
        return []
    lines = [number for number, line in enumerate(text.splitlines(), start=1) if _EXPECT.match(line)]
    return [(each.server, line) for each, line in zip(config.expect, lines, strict=False)]


def _relative(path: Path, root: Path) -> str:
    """A path as the repository names it; one outside goes by its name alone."""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return path.name


def repository_root(start: Path) -> Path:
    """The nearest folder upward that holds `.git`, or `start`."""
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), start)
