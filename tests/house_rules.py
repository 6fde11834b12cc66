"""`python -m tests.house_rules`: what no linter says of this repository. One line for each breach; exit code 1 if any.

No tracked file holds the markers of an unresolved merge, no test file imports another, nothing in `tests/` imports a
benchmark, and of the program one module alone touches what paramiko keeps to itself.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

NEWLINE = b"\n"
INTERNALS = "paramiko_internals.py"
# A marker stands alone or before a name; a line of `=` alone may be a heading, so it counts only between the others.
MARKER = re.compile(rb"^(?:<{7}|>{7}|\|{7})(?: .*)?\r?$", re.MULTILINE)


def conflict_markers(path: Path) -> Iterator[str]:
    """Where `path` holds a marker of an unresolved merge."""
    content = path.read_bytes()
    for found in MARKER.finditer(content):
        yield f"{path}:{content.count(NEWLINE, 0, found.start()) + 1}: a merge conflict's marker"


def imports_of_test_files(path: Path) -> Iterator[str]:
    """Where `path` imports a test file."""
    for line, names in _imports(path):
        if any(_is_test_file(name) for name in names):
            yield f"{path}:{line}: imports a test file; what both need goes into tests/support/"


def imports_of_benchmarks(path: Path) -> Iterator[str]:
    """Where `path` imports what measures."""
    for line, names in _imports(path):
        if any(name.partition(".")[0] == "benchmarks" for name in names):
            yield f"{path}:{line}: imports a benchmark; what a test needs is made in tests/support/"


def _imports(path: Path) -> Iterator[tuple[int, list[str]]]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield node.lineno, [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, [node.module or "", *(f"{node.module or ''}.{alias.name}" for alias in node.names)]


def private_names_of_paramiko(path: Path) -> Iterator[str]:
    """Where `path` reads a private attribute of another's object and knows paramiko, or a class of it that descends
    from one of paramiko's uses or replaces a private name of paramiko's.
    """
    tree = ast.parse(path.read_bytes())
    imported = {name for node in ast.walk(tree) for name in _names_of_paramiko(node)}
    if not imported:
        return
    reason = "private to paramiko; it goes into guest/ssh/paramiko_internals.py"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and _is_of_another(node.value):
            yield f"{path}:{node.lineno}: {node.attr} is {reason}"
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).split(".")[0] in imported for base in node.bases):
            for line, name in _own_names(node):
                if name in _paramikos():
                    yield f"{path}:{line}: {name} is {reason}"


def _names_of_paramiko(node: ast.AST) -> Iterator[str]:
    """The names that an import binds to what is paramiko's, or descends from it."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.split(".")[0] == "paramiko":
                yield alias.asname or "paramiko"
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        if module.split(".")[0] == "paramiko" or module.startswith("vnicheck.guest.ssh."):
            yield from (alias.asname or alias.name for alias in node.names)


def _own_names(owner: ast.ClassDef) -> Iterator[tuple[int, str]]:
    """The private names that a class defines, assigns, or reads of `self`, with their lines."""
    for node in ast.walk(owner):
        if isinstance(node, ast.FunctionDef) and _is_private(node.name):
            yield node.lineno, node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and _is_private(node.id):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and _is_private(node.attr) and not _is_of_another(node.value):
            yield node.lineno, node.attr


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")


def _is_of_another(value: ast.expr) -> bool:
    return not (isinstance(value, ast.Name) and value.id in ("self", "cls"))


@cache
def _paramikos() -> frozenset[str]:
    """All private names of methods and attributes in paramiko's source."""
    source = Path(str(files("paramiko")))
    trees = [ast.parse(path.read_bytes()) for path in source.glob("*.py")]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return frozenset(name for owner in classes for _, name in _own_names(owner))


def _is_test_file(module: str) -> bool:
    first, _, last = module.rpartition(".")
    return (first == "tests" or first.startswith(("tests.", "benchmarks."))) and last.startswith(("test_", "conftest"))


def tracked(folder: Path) -> list[Path]:
    """The files of `folder` that git knows and that are there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, check=True).stdout
    paths = (folder / name for name in listed.decode().split("\0") if name)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def breaches(folder: Path) -> list[str]:
    """One line for each breach among the tracked files of `folder`."""
    found: list[str] = []
    for path in tracked(folder):
        found += conflict_markers(path)
        room = path.relative_to(folder).parts[0]
        if path.suffix == ".py" and room in ("tests", "benchmarks"):
            found += imports_of_test_files(path)
            found += imports_of_benchmarks(path) if room == "tests" else ()
        if path.suffix == ".py" and room == "vnicheck" and path.name != INTERNALS:
            found += private_names_of_paramiko(path)
    return found


if __name__ == "__main__":
    told = breaches(Path())
    print("\n".join(told), end="\n" * bool(told), file=sys.stderr)
    sys.exit(bool(told))
