"""The stand-in of the metadata service: what one instance of a world is told of itself, and nothing else.

    with MetadataStandIn(world, "web-1") as service:
        metadata = read_metadata(service.url)

As a program, `python -m tests.api.metadata WORLD.json web-1 COMMAND...` runs a command that is told of it by
VNICHECK_METADATA_URL, and fails if it was asked what it does not know.

Shapes and paths as IBM Cloud Docs, VPC, have them (imd-metadata-summary, imd-get-metadata, metadata-api-change-log,
identity operations): resources as in the VPC API, without their hrefs. It refuses what it does not know, and remembers
that it did (`unexpected`).
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Collection
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.api.faults import Fault
from tests.api.resources import Json
from tests.api.standin import Answering, secured
from tests.api.world import World

TOKEN = "a-token-of-this-instance"
OLD_TOKEN_PATH = "/instance_identity/v1/token"
_OF_THE_INSTANCE = (
    "availability_policy", "bandwidth", "boot_volume_attachment", "created_at", "crn", "disks", "id",
    "lifecycle_reasons", "lifecycle_state", "memory", "metadata_service", "name", "network_attachments",
    "network_interfaces", "primary_network_attachment", "primary_network_interface",
    "profile", "startable", "status", "status_reasons",
    "total_network_bandwidth", "total_volume_bandwidth", "vcpu", "volume_attachments", "vpc", "zone",
)  # fmt: skip
_OF_A_VNI = (
    "allow_ip_spoofing", "auto_delete", "created_at", "crn", "enable_infrastructure_nat", "id", "ips",
    "lifecycle_state", "mac_address", "name", "primary_ip", "protocol_state_filtering_mode", "resource_type",
    "security_groups", "subnet", "target", "vpc", "zone",
)  # fmt: skip


class MetadataStandIn:
    """Serves on loopback while it is entered. `without`: fields that this version of the service does not tell;
    `page_size` bounds the lists' pages.
    """

    def __init__(
        self,
        world: World | Json,
        instance: str,
        *,
        without: Collection[str] = (),
        page_size: int = 50,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.world: Json = world.data if isinstance(world, World) else world
        self.instance = next(each for each in self.world["instances"] if instance in (each["name"], each["id"]))
        self.without = set(without)
        self.page_size = page_size
        self.calls: list[str] = []
        self.unexpected: list[str] = []
        self.faults: list[Fault] = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.server = _Server(self)
        self.scheme = secured(self.server, tls)
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"{self.scheme}://127.0.0.1:{self.server.server_address[1]}"

    def fail(self, path: str, **fault: Any) -> None:
        """Adds a fault; the arguments are those of Fault."""
        self.faults.append(Fault(path, **fault))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, query: Json, headers: Json, body: bytes) -> tuple[int, Json]:
        """Status and JSON of an answer."""
        if method == "PUT" and path == "/identity/v1/token":
            return self._token(query, headers, body)
        if (method, path) == ("PUT", OLD_TOKEN_PATH):
            return _error(404, "not_found", "The path has moved with version 2025-07-15.")
        known = self._resource(path) if method == "GET" else None
        if known is None:
            return self._odd(404, "not_found", f"the stand-in does not know {method} {path}")
        if set(query) - {"version", "start"} or len(query.get("version", "")) != 10:
            return self._odd(400, "bad_query", f"{path} does not take {query}")
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(401, "invalid_token", "The token is missing or not valid.")
        if not isinstance(known, tuple):
            return 200, known
        key, items = known
        place = int(query.get("start", "0"))
        page = {key: items[place : place + self.page_size], "limit": self.page_size, "total_count": len(items)}
        if place + self.page_size < len(items):
            page["next"] = {"href": f"{self.url}{path}?start={place + self.page_size}"}
        return 200, page

    def _token(self, query: Json, headers: Json, body: bytes) -> tuple[int, Json]:
        if headers.get("Metadata-Flavor") != "ibm":
            return self._odd(400, "missing_header", "The Metadata-Flavor header must be ibm.")
        if query.get("version", "") < "2025-07-15" or set(query) != {"version"}:
            return self._odd(400, "bad_query", f"this path does not take {query}")
        wanted = json.loads(body or b"{}")
        if set(wanted) - {"expires_in"} or not 5 <= wanted.get("expires_in", 300) <= 3600:
            return self._odd(400, "invalid_value", "`expires_in` must be from 5 to 3600.")
        return 200, {"access_token": TOKEN, "created_at": "2026-11-24T00:00:00Z", "expires_in": 300}

    def _resource(self, path: str) -> Json | tuple[str, list[Json]] | None:
        """A resource, or a list's key and items; None: no such path, or not in this version."""
        attachments = self.instance.get("network_attachments") or []
        vnis = [each["virtual_network_interface"]["id"] for each in attachments]
        match path:
            case "/metadata/v1/instance":
                return self._told(self.instance, _OF_THE_INSTANCE)
            case "/metadata/v1/instance/network_attachments":
                return "network_attachments", [
                    self._told(each | {"type": "primary" if place == 0 else "secondary"}, tuple({*each, "type"}))
                    for place, each in enumerate(attachments)
                ]
            case "/metadata/v1/instance/network_interfaces":
                interfaces = self.world["network_interfaces"].get(self.instance["id"], [])
                return "network_interfaces", [self._told(each, tuple(each)) for each in interfaces]
            case "/metadata/v1/virtual_network_interfaces" if attachments:
                known = self.world["virtual_network_interfaces"]
                return "virtual_network_interfaces", [
                    self._told(each, _OF_A_VNI) for each in known if each["id"] in vnis
                ]
        return None

    def _told(self, resource: Json, fields: tuple[str, ...]) -> Json:
        told = _without_hrefs({key: resource[key] for key in fields if key in resource and key not in self.without})
        assert isinstance(told, dict)
        if "primary_ip" in told and "primary_ip" in self.without:
            del told["primary_ip"]
        return told

    def _odd(self, status: int, code: str, message: str) -> tuple[int, Json]:
        self.unexpected.append(message)
        return _error(status, code, message)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: MetadataStandIn) -> None:
        self.api = api
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(Answering):
    server: _Server

    def serve(self, method: str) -> None:
        """Answers one call."""
        api = self.server.api
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with api.lock:
            api.calls.append(f"{method} {parts.path}")
            fault = next((fault for fault in api.faults if fault.takes(method, parts.path)), None)
            status, answer = api.answer(method, parts.path, dict(parse_qsl(parts.query)), dict(self.headers), body)
        if fault is None or not self.commits(fault):
            self.send(status, json.dumps(answer).encode(), {}, drip=0.0 if fault is None else fault.drip)


def _error(status: int, code: str, message: str) -> tuple[int, Json]:
    return status, {"errors": [{"code": code, "message": message}], "status_code": status, "trace": "stand-in"}


def _without_hrefs(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_hrefs(each) for key, each in value.items() if key != "href"}
    if isinstance(value, list):
        return [_without_hrefs(each) for each in value]
    return value


def main() -> int:
    """Runs the command of the command line beside the stand-in; its exit code, or 90 for a call that no one knows."""
    world, instance, *command = sys.argv[1:]
    with MetadataStandIn(json.loads(Path(world).read_text()), instance) as service:
        environ = {**os.environ, "VNICHECK_METADATA_URL": service.url}
        status = subprocess.run(command, env=environ, check=False, timeout=50).returncode
    if service.unexpected:
        print(service.unexpected, file=sys.stderr)
        return 90
    return status


if __name__ == "__main__":
    sys.exit(main())
