"""What a list of rules says of some packets."""

from collections.abc import Hashable, Iterable

from msgspec import Struct

MOST = 1 << 17


class Answers(Struct, frozen=True):
    """Whether each of some packets passes (None: that is not known), and the lines that decide."""

    passed: frozenset[bool | None]
    lines: tuple[str, ...]


class AnswerBook:
    """Answers by question, those that say the same being one."""

    def __init__(self) -> None:
        self._by_question: dict[Hashable, Answers] = {}
        self._made: dict[Answers, Answers] = {}

    def known(self, question: Hashable) -> Answers | None:
        """The answer noted for a question."""
        return self._by_question.get(question)

    def note(self, question: Hashable, answers: Iterable[tuple[bool | None, str]]) -> Answers:
        """Notes the answer to a question: each packet's, in order; a line may be empty."""
        answers = list(answers)
        lines = tuple(dict.fromkeys(line for _, line in answers if line))
        made = Answers(frozenset(passed for passed, _ in answers), lines)
        if len(self._by_question) >= MOST:
            self._by_question.clear()
        found = self._by_question[question] = self._made.setdefault(made, made)
        return found
