"""The commands that a page shows."""

import re
import shlex


def shown(text: str) -> list[str]:
    """The commands of a page: lines of its blocks for a shell, and code within its sentences."""
    blocks = re.findall(r"^ *```(?:sh|console|bash)\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    joined = [re.sub(r"\\\n\s*", " ", block) for block in blocks]
    lines = [line.strip() for block in joined for line in block.splitlines()]
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines += [" ".join(span.split()) for span in re.findall(r"`(vnicheck [^`]+)`", prose)]
    return [line for line in lines if line.startswith("vnicheck ")]


def words(line: str) -> list[str]:
    """A command's words behind the program's name, without comment, pipes and redirections."""
    lexer = shlex.shlex(line.replace("\\|", "|"), posix=True, punctuation_chars="|><;")
    lexer.whitespace_split = True
    found: list[str] = []
    for word in lexer:
        if word[0] in "|><;":
            break
        found.append(word)
    return found[1:]
