"""NetworkManager.conf(5) and its kin: which interfaces NetworkManager leaves alone."""

import re
from collections.abc import Sequence

from vnicheck.guest.parsers.boot.fate import Fate, all_of, any_of, no
from vnicheck.guest.parsers.boot.files import BootFiles
from vnicheck.guest.parsers.boot.machine import has_mac, is_ethernet
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.interface import Interface

_MAC = re.compile(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", re.ASCII)
_FILE = re.compile(r"(/etc|/run|/usr/lib)/NetworkManager/(NetworkManager\.conf|conf\.d/.*)")
_RANKS = ("/etc", "/run", "/usr/lib")
_NO = {"0", "false", "no", "off"}


def unmanaged_devices(files: BootFiles, of_ifupdown: Sequence[str]) -> list[str]:
    """What the files keep from it, in the words of `unmanaged-devices`. `of_ifupdown`: interfaces of interfaces(5),
    which it leaves alone where Debian's plugin is loaded, unless that is told otherwise.
    """
    values: dict[tuple[str, str], str] = {}
    for path in _in_order(files.paths):
        section = ""
        for line in files.lines[path]:
            key, _, value = (part.strip() for part in line.text.partition("="))
            if key.startswith("["):
                section = key.strip("[]")
            elif key.endswith("+"):
                before = values.get((section, key[:-1]), "")
                values[section, key[:-1]] = f"{before};{value}"
            else:
                values[section, key] = value
    found = [values.get(("keyfile", "unmanaged-devices"), "")]
    for (section, key), value in values.items():
        if section.startswith("device") and key == "managed" and value.lower() in _NO:
            found.append(values.get((section, "match-device"), "*"))
    plugins = re.split(r"[,; ]+", values.get(("main", "plugins"), ""))
    if "ifupdown" in plugins and values.get(("ifupdown", "managed"), "false").lower() in _NO:
        found += [f"interface-name:={name}" for name in of_ifupdown]
    return found


def is_managed(link: Interface, unmanaged: Sequence[str]) -> Fate:
    """Device List Format: `interface-name:eth*;mac:...;except:type:wifi;*`."""
    fates = []
    for value in unmanaged:
        words = [word.strip() for word in re.split(r"[;,]", value) if word.strip()]
        refused = [word.removeprefix("except:") for word in words if word.startswith("except:")]
        listed = [word for word in words if not word.startswith("except:")]
        meant = any_of(*(_means(word, link) for word in listed)) if listed else bool(refused)
        fates.append(all_of(meant, no(any_of(*(_means(word, link) for word in refused)))))
    return no(any_of(*fates))


def _means(word: str, link: Interface) -> Fate:
    kind, colon, value = word.partition(":")
    if word == "*":
        return True
    if kind == "interface-name" and not value.startswith("~"):
        return value[1:] == link.name if value.startswith("=") else _is_like(value, link.name)
    if (kind == "mac" or _MAC.fullmatch(word)) and link.kind is None:  # veths have no address that counts here
        return has_mac(link, [value if kind == "mac" else word])
    if kind == "type" and is_ethernet(link) and link.bus == "virtio":
        return value == "ethernet"
    if not colon:
        return _is_like(word, link.name)
    return f"whether NetworkManager's {capped(word)[:40]} means {link.name} is not known"


def _is_like(pattern: str, name: str) -> bool:
    """GLib's patterns: `*` and `?` alone."""
    words = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.fullmatch("".join(words), name) is not None


def _in_order(paths: Sequence[str]) -> list[str]:
    """Of one name the file in the folder of the highest rank; NetworkManager.conf first, then by name."""
    chosen: dict[str, str] = {}
    for path in sorted((path for path in paths if _FILE.fullmatch(path)), key=_rank):
        chosen.setdefault(path.rpartition("/")[2], path)
    return sorted(chosen.values(), key=lambda path: ("/conf.d/" in path, path.rpartition("/")[2]))


def _rank(path: str) -> int:
    match = _FILE.fullmatch(path)
    return _RANKS.index(match[1]) if match is not None else len(_RANKS)
