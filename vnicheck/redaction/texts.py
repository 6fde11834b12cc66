"""Words under pseudonyms: the same word has the same one everywhere, whatever it names."""

import hashlib
import re
from collections.abc import Callable, Container

from vnicheck.engine.own_devices import owner_of
from vnicheck.redaction.addresses import AddressPseudonyms
from vnicheck.redaction.vocabulary import COMMANDS, ENDINGS, INTERFACE, MESSAGES, PLACES, RELEASE_WORDS, SYSTEMS

LEFT_OUT = "…"

_TOKEN = re.compile(
    r"(?P<mac>[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?![0-9A-Za-z:]))"
    r"|(?P<six>(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:]))"
    r"|(?P<address>(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?![\d.]*\d))"
    r"|(?P<number>(?<!\w)(?:0x[0-9a-fA-F]{1,8}|\d{1,10})(?![\w.:]*\w))"
    r"|(?P<word>\w[\w.-]*(?<![.-])|\w)"
    r"|(?P<space>\s+)"
    r"|(?P<sign>[-!\"'()*+,./:;<=>?@\[\]{}|&^~$#%])"
)
_KEPT_MACS = frozenset({"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"})


class Words:
    """Pseudonyms for one key. `interfaces`: names of guests' interfaces, which texts may speak of."""

    def __init__(self, key: bytes, addresses: AddressPseudonyms, interfaces: Container[str]) -> None:
        self._key = key
        self._addresses = addresses
        self._interfaces = interfaces

    def named(self, kind: str, text: str, digits: int = 8) -> str:
        """`"web-1"` as `"server-1f0c33a9"`. Empty stays empty."""
        return f"{kind}-{self._digest(text)[:digits]}" if text else text

    def mac(self, text: str) -> str:
        """A MAC address as one that is administered locally; all zeros and all ones stay."""
        if text.lower() in _KEPT_MACS:
            return text
        digest = self._digest(text.lower())
        return ":".join(["02", *(digest[place : place + 2] for place in range(0, 10, 2))])

    def interface(self, name: str) -> str:
        """An interface's name: usual ones stay, and so does what software begins the names of its own devices with."""
        if not name or INTERFACE.fullmatch(name) or name in ("all", "default"):
            return name
        owner = owner_of(name)
        return f"{owner or 'if'}{'' if owner and owner.endswith('-') else '-'}{self._digest(name)[:7]}"

    def sysctl(self, key: str) -> str:
        """The path of a sysctl, whose fourth part may be an interface."""
        parts = key.split("/")
        if len(parts) > 4 and parts[:2] == ["net", "ipv4"]:
            parts[3] = self.interface(parts[3])
        return "/".join(parts)

    def word(self, text: str) -> str:
        """A word of a command's own language as it is; any other under a pseudonym."""
        return text if text in COMMANDS or text.isdigit() or not text else self.named("w", text)

    def line(self, text: str) -> str:
        """A line that a command printed, or the place of a file: word by word, so that lines that differ still do."""
        return self._rewritten(text, COMMANDS | PLACES, self._renamed)

    def message(self, text: str) -> str:
        """A message for people: words that are not known to be everyone's are left out."""

        def other(word: str) -> str:
            return self.interface(word) if word in self._interfaces or INTERFACE.fullmatch(word) else LEFT_OUT

        line = self._rewritten(text, COMMANDS | MESSAGES | PLACES, other)
        return re.sub(rf"{LEFT_OUT}(?:[\s\W]*{LEFT_OUT})+", LEFT_OUT, line)

    def system(self, text: str) -> str:
        """An operating system's id: a known one, or nothing."""
        return text if text in SYSTEMS else ""

    def release(self, text: str) -> str:
        """A version or a kernel's release: its numbers, and words that distributions add."""
        parts = re.split(r"([-. ()+~])", text)
        kept = [part if len(part) < 2 or _is_release(part) else "x" for part in parts]
        return "".join(kept)

    def _renamed(self, word: str) -> str:
        if INTERFACE.fullmatch(word) or word in self._interfaces:
            return self.interface(word)
        ending = next((ending for ending in ENDINGS if word.endswith(ending)), "")
        return self.named("w", word) + ending

    def _rewritten(self, text: str, known: Container[str], other: Callable[[str], str]) -> str:
        pieces = []
        for match in _TOKEN.finditer(text):
            kind, found = match.lastgroup, match[0]
            if kind == "mac":
                pieces.append(self.mac(found))
            elif kind == "address":
                pieces.append(self._address(found))
            elif kind in ("word", "six"):
                pieces.append(found if found in known else other(found))
            else:
                pieces.append(found)
        return "".join(pieces)

    def _address(self, text: str) -> str:
        try:
            return self._addresses.prefix(text) if "/" in text else self._addresses.address(text)
        except ValueError:  # 999.1.1.1
            return self.named("w", text)

    def _digest(self, text: str) -> str:
        return hashlib.blake2b(text.encode(errors="surrogatepass"), key=self._key, digest_size=16).hexdigest()


def _is_release(part: str) -> bool:
    return part in RELEASE_WORDS or re.fullmatch(r"v?\d+|(?:el|fc|deb|lp|ss)\d+(?:_\d+)*", part) is not None
