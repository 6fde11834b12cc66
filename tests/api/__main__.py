"""`python -m tests.api WORLD.json --port 8090`: serves a world until interrupted. The calls so far: GET /_calls."""

import argparse
import json
import signal
import threading
from pathlib import Path

from tests.api.standin import StandIn


def main() -> None:
    """Prints the API's URL when ready."""
    parser = argparse.ArgumentParser(prog="python -m tests.api", description=__doc__)
    parser.add_argument("world", type=Path, help="a world, as World.save writes it")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--page-size", type=int, default=100)
    parser.add_argument("--token", help="the bearer token that calls must carry")
    options = parser.parse_args()
    world = json.loads(options.world.read_text())
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with StandIn(world, host=options.host, port=options.port, page_size=options.page_size, token=options.token) as api:
        print(api.url, flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
