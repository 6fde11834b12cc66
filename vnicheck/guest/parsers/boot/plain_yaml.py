"""YAML from a server that is not trusted. Imported where a file is there to be read: PyYAML takes its time."""

from typing import Any

import yaml
from yaml.nodes import MappingNode

MAX_TEXT = 200_000
"""Characters: PyYAML reads some 100,000 a second."""


class _Loader(yaml.SafeLoader):
    """Aliases stand for the very same value: whoever walks the document counts, for few lines may become billions of
    values. Merge keys (`<<`) are none to the tools that read these files.
    """

    def flatten_mapping(self, node: MappingNode) -> None:
        if any(key.value == "<<" for key, _ in node.value):
            raise yaml.YAMLError("a merge key")


def load_yaml(text: str) -> Any:
    """The document. Raises ValueError where it is none, larger than MAX_TEXT, or merges mappings."""
    if len(text) > MAX_TEXT:
        raise ValueError("too large")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, ArithmeticError, TypeError, AttributeError) as error:
        raise ValueError(f"not plain YAML: {type(error).__name__}") from error
