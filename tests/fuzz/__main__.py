"""`python -m tests.fuzz [RUNS]`: coverage-guided, with atheris (`pip install -e '.[fuzz]'`); new inputs are kept in
`.fuzz/`, and one that breaks something in `.fuzz/crash-...`.
"""

import hashlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vnicheck.guest", "vnicheck.model"]):
    from tests.fuzz.target import check, seeds

HOME = Path(".fuzz")
WORDS = (
    "default", "via", "dev", "proto", "scope", "src", "metric", "table", "nexthop", "weight", "onlink", "from", "to",
    "lookup", "iif", "oif", "fwmark", "0xff", "not", "goto", "uidrange", "0-4294967295", "10.0.0.11/24", "0.0.0.0/0",
    "blackhole", "vnicheck-guest/1 begin", "vnicheck-guest/1 end", "+ rules x", "- rules 0", '{"dst":"default"}',
    '"table":"255"', '"flags":["onlink"]', "inet", "link/ether", "<UP,LOWER_UP>", "@read /etc/netplan/a.yaml",
    "/etc/netplan/a.yaml:1:network:", "&a", "*a", "[[[[", "id 1 group 2,3/4",
)  # fmt: skip


def main() -> None:
    runs = sys.argv[1] if len(sys.argv) > 1 else "100000"
    corpus = HOME / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    dictionary = HOME / "words"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in WORDS))
    options = [
        f"-runs={runs}",
        f"-dict={dictionary}",
        f"-artifact_prefix={HOME}/",
        "-max_len=8192",
        "-rss_limit_mb=1024",
    ]
    options += ["-timeout=20", "-print_final_stats=1", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], check)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    main()
