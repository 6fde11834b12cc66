"""`python -m tests.lowest`: the oldest release of everything that pyproject.toml allows, as pip takes it."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest() -> list[str]:
    """`typer==0.24`, ... for what the program needs; a requirement without a lower bound raises ValueError."""
    requirements = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    found = []
    for requirement in requirements:
        match = re.fullmatch(r"([A-Za-z0-9_.-]+)>=([0-9.]+)(,<[0-9.]+)", requirement)
        if match is None:
            raise ValueError(f"{requirement}: write it as name>=LOWEST,<NEXT")
        found.append(f"{match[1]}=={match[2]}")
    return found


if __name__ == "__main__":
    print("\n".join(lowest()))
