"""YAML from a server that is not trusted. Imported where a file is there to be read: PyYAML takes its time."""

from typing import Any

import yaml
from yaml.nodes import Node

MAX_TEXT = 200_000
"""Characters: PyYAML reads some 100,000 a second."""


class _Loader(yaml.SafeLoader):
    """Without aliases, by which few lines become billions of values."""

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


def load_yaml(text: str) -> Any:
    """The document. Raises ValueError where it is none, larger than MAX_TEXT, or has aliases."""
    if len(text) > MAX_TEXT:
        raise ValueError("too large")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, ArithmeticError, TypeError, AttributeError) as error:
        raise ValueError(f"not plain YAML: {type(error).__name__}") from error
