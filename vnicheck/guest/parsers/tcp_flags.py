"""What a firewall rule asks of TCP flags, as VALUE/MASK of bits: `0x2/0x17` is SYN alone of FIN, SYN, RST, ACK."""

import re

_BITS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "ece": 64, "cwr": 128}
_ALL, _NONE = 0x3F, 0
_NAME = f"(?:{'|'.join(_BITS)})"
_NFT = re.compile(
    rf"tcp flags (?:(?P<not>!= )?(?P<value>{_NAME}(?:,{_NAME})*) / (?P<mask>{_NAME}(?:,{_NAME})*)"
    rf"|& \(?(?P<among>{_NAME}(?: ?\| ?{_NAME})*)\)? (?P<op>==|!=) \(?(?P<those>0x0|{_NAME}(?: ?\| ?{_NAME})*)\)?"
    rf"|! (?P<none>{_NAME}(?:,{_NAME})*)|(?P<one>{_NAME}))(?= |$)(?! [|/&^])",
    re.ASCII,
)


def xtables_flags(mask: str, value: str) -> str | None:
    """Of the two words behind `--tcp-flags`."""
    bits, among = _bits(value), _bits(mask)
    return None if bits is None or among is None else f"{bits:#x}/{among:#x}"


def nft_flags(words: str) -> tuple[str, bool, int] | None:
    """Of words that begin with such a condition of nft: what it asks, whether negated, and of how many words it is."""
    match = _NFT.match(words)
    if match is None:
        return None
    mask = match["mask"] or match["among"] or match["none"] or match["one"]
    value = match["value"] or match["those"] or match["one"] or "0x0"
    negated = match["not"] is not None or match["op"] == "!="
    told = xtables_flags(mask, value)
    return None if told is None else (told, negated, len(match[0].split()))


def _bits(names: str) -> int | None:
    """Of `FIN,SYN` or `fin | syn`; None where one has no such name."""
    if names in {"ALL", "NONE", "0x0"}:
        return _ALL if names == "ALL" else _NONE
    bits = [_BITS.get(name.strip().lower()) for name in re.split("[,|]", names)]
    return None if None in bits else sum(bit for bit in set(bits) if bit is not None)
