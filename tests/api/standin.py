"""The stand-in's HTTP server."""

import gzip
import json
import socket
import ssl
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.api import identity
from tests.api.faults import Fault
from tests.api.resources import (
    PAGED,
    Collection,
    Json,
    Refusal,
    check_query,
    etag,
    page,
    patch_vni,
    resolve,
)
from tests.api.world import World

BASE = "/v1"


@dataclass(frozen=True)
class Call:
    """One request to the VPC API, its path without `/v1`. As text: `GET /instances?limit=100`."""

    method: str
    path: str
    query: dict[str, str]
    body: Any = None

    def __str__(self) -> str:
        shown = urlencode({key: value for key, value in self.query.items() if key not in ("version", "generation")})
        return f"{self.method} {self.path}{'?' if shown else ''}{shown}"


class StandIn:
    """Serves a world on loopback while it is entered.

    `page_size` bounds every page below the `limit` asked for. `token`: the bearer token that calls must carry.
    `api_key` / `trusted_profile`: IAM and the metadata service answer (at `root`) with a token that calls must then
    carry. `tls`: the files of a certificate and its key.
    `on_patch(vni)` runs after each PATCH with the changed VNI. The world's `faults` (arguments of Fault) and
    those of `fail` come true.
    """

    def __init__(
        self,
        world: World | Json,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        page_size: int = 100,
        token: str | None = None,
        api_key: str | None = None,
        trusted_profile: bool = False,
        on_patch: Callable[[Json], None] | None = None,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.world: Json = world.data if isinstance(world, World) else world
        self.page_size = page_size
        self.api_key = api_key
        self.trusted_profile = trusted_profile
        self.issued = identity.access_token()
        self.token = self.issued if token is None and (api_key is not None or trusted_profile) else token
        self.on_patch = on_patch
        self.calls: list[Call] = []
        self.token_calls: list[str] = []
        self.unexpected: list[str] = []
        self.faults: list[Fault] = [Fault(**fault) for fault in self.world.get("faults", [])]
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.server = _Server((host, port), self)
        self.scheme = secured(self.server, tls)
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def root(self) -> str:
        """`http://127.0.0.1:PORT`: where the token services are."""
        host, port = self.server.server_address[:2]
        return f"{self.scheme}://{host!s}:{port}"

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT/v1`: what VPC_URL is set to."""
        return self.root + BASE

    @property
    def environ(self) -> dict[str, str]:
        """The environment that points vnicheck here."""
        return {"VPC_URL": self.url, "VPC_AUTH_TYPE": "noauth"}

    @property
    def lines(self) -> list[str]:
        """The calls as text, in order."""
        return [str(call) for call in self.calls]

    def fail(self, path: str, **fault: Any) -> None:
        """Adds a fault; the arguments are those of Fault."""
        with self.lock:
            self.faults.append(Fault(path, **fault))

    def start(self) -> Self:
        """Serves from now on."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stops serving; waits that faults impose end at once."""
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def secured(server: ThreadingHTTPServer, tls: tuple[Path, Path] | None) -> str:
    """The scheme that a server speaks: HTTPS where there are the files of a certificate and its key."""
    if tls is None:
        return "http"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return "https"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], api: StandIn) -> None:
        self.api = api
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class Answering(BaseHTTPRequestHandler, ABC):
    """A handler whose `serve` is called for every method, with ways to answer, and to fail."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Quiet."""

    def do_GET(self) -> None:
        self.serve("GET")

    def do_PATCH(self) -> None:
        self.serve("PATCH")

    def do_PUT(self) -> None:
        self.serve("PUT")

    def do_POST(self) -> None:
        self.serve("POST")

    def do_DELETE(self) -> None:
        self.serve("DELETE")

    @abstractmethod
    def serve(self, method: str) -> None:
        """Answers one call."""

    @property
    def stopping(self) -> threading.Event:
        """Set when the stand-in stops: what a fault waits for, it waits for no longer."""
        event: threading.Event = self.server.api.stopping  # type: ignore[attr-defined]
        return event

    def commits(self, fault: Fault) -> bool:
        """Whether the fault answered, or cut, this call."""
        if fault.delay:
            self.stopping.wait(fault.delay)
        if fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return True
        if fault.status is None:
            return False
        if fault.body is None:
            self.refuse(fault.status, "injected", "injected by the test", dict(fault.headers))
        else:
            packed = {"Content-Encoding": "gzip"} if fault.gzip else {}
            body = fault.body.encode()
            self.send(fault.status, gzip.compress(body) if fault.gzip else body, {**fault.headers, **packed})
        return True

    def refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        self.send_json(status, {"errors": [{"code": code, "message": message}], "trace": "stand-in"}, headers)

    def send_json(
        self, status: int, value: object, headers: dict[str, str] | None = None, *, drip: float = 0.0
    ) -> None:
        self.send(status, json.dumps(value).encode(), headers or {}, drip=drip)

    def send(self, status: int, body: bytes, headers: dict[str, str], *, drip: float = 0.0) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json; charset=utf-8"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for part in [body[place : place + 1] for place in range(len(body))] if drip else [body]:
            self.wfile.write(part)
            self.wfile.flush()
            if drip and self.stopping.wait(drip):
                return


class _Handler(Answering):
    server: _Server

    def serve(self, method: str) -> None:
        api = self.server.api
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if parts.path == "/_calls":
            self.send_json(200, {"calls": api.lines, "unexpected": api.unexpected})
            return
        if parts.path in identity.PATHS:
            self._token(method, parts.path, body)
            return
        path = parts.path.removeprefix(BASE)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        call = Call(method, path, query, _parsed(body))
        with api.lock:
            api.calls.append(call)
            fault = next((fault for fault in api.faults if fault.takes(method, path)), None)
        if fault is not None and self.commits(fault):
            return
        try:
            if not parts.path.startswith(BASE + "/"):
                raise Refusal(400, "bad_path", f"no API at {parts.path}", unexpected=True)
            if api.token is not None and self.headers.get("Authorization") != f"Bearer {api.token}":
                raise Refusal(401, "not_authorized", "The token is missing, expired or of another account.")
            with api.lock:
                answer, headers = self._answer(call, fault)
            self.send_json(200, answer, headers, drip=0.0 if fault is None else fault.drip)
        except Refusal as refusal:
            if refusal.unexpected:
                with api.lock:
                    api.unexpected.append(f"{call}: {refusal.message}")
            self.refuse(refusal.status, refusal.code, refusal.message)

    def _answer(self, call: Call, fault: Fault | None) -> tuple[Json, dict[str, str]]:
        """What a call is answered with, and with which headers. Raises Refusal."""
        api = self.server.api
        if call.method == "PATCH":
            check_query(call.query, frozenset())
            if self.headers.get("Content-Type") != "application/merge-patch+json":
                raise Refusal(400, "bad_content_type", "A patch is application/merge-patch+json.", unexpected=True)
            changed = patch_vni(api.world, call.path, call.body, self.headers.get("If-Match"))
            if api.on_patch is not None:
                api.on_patch(changed)
            return changed, {"ETag": etag(changed)}
        if call.method != "GET":
            raise Refusal(400, "bad_method", f"the stand-in does not {call.method} {call.path}", unexpected=True)
        found = resolve(api.world, call.path)
        if not isinstance(found, Collection):
            check_query(call.query, frozenset())
            return found, {"ETag": etag(found)}
        check_query(call.query, (PAGED if found.paged else frozenset()) | found.filters)
        endless = {} if fault is None else {"repeat": fault.repeat_page, "same": fault.same_page, "cut": fault.cut}
        return page(found, call.query, api.url + call.path, api.page_size, **endless), {}

    def _token(self, method: str, path: str, body: bytes) -> None:
        api = self.server.api
        with api.lock:
            api.token_calls.append(f"{method} {path}")
            fault = next((fault for fault in api.faults if fault.takes(method, path)), None)
        if fault is not None and self.commits(fault):
            return
        status, answer = identity.answer(
            method,
            path,
            body,
            self.headers.get("Authorization", ""),
            api_key=api.api_key,
            trusted_profile=api.trusted_profile,
            token=api.issued,
        )
        self.send_json(status, answer)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")
