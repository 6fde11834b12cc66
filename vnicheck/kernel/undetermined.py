"""The third answer: what a lookup says when it meets a fact that was not collected or is not modelled."""


class Undetermined(Exception):  # noqa: N818 - an answer, not an error
    """The answer depends on something unknown; the message says on what, in words for the report."""
