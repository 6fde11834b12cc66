"""The VPC metadata service, which tells an instance of itself without any API key.

Shapes: IBM Cloud Docs, VPC: imd-metadata-summary, metadata-api-change-log (28 May 2024: the filtering mode; 19 December
2023: network attachments), identity operations (the token's path since version 2025-07-15). What the summary does not
spell out is read as the VPC API's own field of that name, and is unknown where it is absent.
"""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from vnicheck.cloud.answers import well_formed
from vnicheck.cloud.errors import CloudError, redact
from vnicheck.cloud.urls import is_http, shown_url
from vnicheck.model.words import one_line
from vnicheck.system.workers import bounded

if TYPE_CHECKING:
    from requests import Response, Session

DEFAULT_URL = "http://169.254.169.254"
SECURE_URL = "https://api.metadata.cloud.ibm.com"
VERSION = "2025-08-26"
MAX_BYTES = 8 << 20
PAGES = 100

_OFF = (
    "on an IBM Cloud VPC instance it is off by default: 'ibmcloud is instance-update INSTANCE --metadata-service true' "
    f"switches it on; if it takes HTTPS only, export VNICHECK_METADATA_URL={SECURE_URL}; elsewhere, name the server: "
    "vnicheck analyze NAME"
)
_OTHER = "this is no virtual server of IBM Cloud VPC, or something else answers there; name it: vnicheck analyze NAME"

Item = Mapping[str, Any]


class Times(Struct, frozen=True):
    """Bounds, in seconds: of connecting, of one read, and of all."""

    connect: float = 3.0
    read: float = 5.0
    total: float = 20.0


class Metadata(Struct, frozen=True):
    """What the service says, as plain JSON: `attachments` or, of a legacy instance, `interfaces`."""

    instance: Item
    attachments: tuple[Item, ...] = ()
    virtual_network_interfaces: tuple[Item, ...] | None = ()
    """None: the service refuses to list them."""
    interfaces: tuple[Item, ...] = ()


def read_metadata(url: str, times: Times | None = None) -> Metadata:
    """Everything that is told of the network of the instance that this runs on.

    Raises CloudError: `metadata_off` (nothing answers), `metadata_timeout`, `metadata_other` (another service answers),
    `metadata_refused`, `metadata_malformed`, `bad_endpoint`.
    """
    limits = times or Times()
    shown = _checked(url)
    try:
        return bounded(lambda: _Service(url.rstrip("/"), shown, limits).read(), limits.total)
    except TimeoutError:
        raise CloudError(
            "metadata_timeout", f"the metadata service at {shown} did not answer in {limits.total:g} seconds in all"
        ) from None


class _Service:
    def __init__(self, url: str, shown: str, limits: Times) -> None:
        import requests

        self._url = url
        self._shown = shown
        self._limits = limits
        self._session: Session = requests.Session()
        self._session.trust_env = False  # no proxy: the service speaks to this instance alone

    def read(self) -> Metadata:
        with self._session:
            self._session.headers["Authorization"] = f"Bearer {self._token()}"
            instance = self._get("/metadata/v1/instance")
            attachments = self._attachments(instance)
            if attachments:
                return Metadata(instance, attachments, self._virtual_network_interfaces())
            return Metadata(
                instance,
                interfaces=self._list("/metadata/v1/instance/network_interfaces", "network_interfaces"),
            )

    def _attachments(self, instance: Item) -> tuple[Item, ...]:
        """The network attachments, in the instance or in their own list; none of a legacy instance."""
        if isinstance(instance.get("network_attachments"), list):
            return _items(instance, "network_attachments", self._shown)
        try:
            return self._list("/metadata/v1/instance/network_attachments", "network_attachments")
        except CloudError as error:
            if error.code == "metadata_other":  # a service from before network attachments
                return ()
            raise

    def _virtual_network_interfaces(self) -> tuple[Item, ...] | None:
        try:
            return self._list("/metadata/v1/virtual_network_interfaces", "virtual_network_interfaces")
        except CloudError as error:
            if error.code in ("metadata_other", "metadata_refused"):
                return None
            raise

    def _token(self) -> str:
        answer = self._send(
            lambda: self._session.put(
                f"{self._url}/identity/v1/token",
                params={"version": VERSION},
                headers={"Metadata-Flavor": "ibm"},
                json={"expires_in": 300},
                **self._options(),
            )
        )
        token = answer.get("access_token")
        if not isinstance(token, str) or not token.isprintable() or not token:
            raise CloudError("metadata_malformed", f"the metadata service at {self._shown} gave no token; {_OTHER}")
        return token

    def _get(self, path: str, **params: str) -> Item:
        return self._send(
            lambda: self._session.get(f"{self._url}{path}", params={"version": VERSION, **params}, **self._options())
        )

    def _list(self, path: str, key: str) -> tuple[Item, ...]:
        found: list[Item] = []
        seen: set[str] = set()
        params: dict[str, str] = {}
        for _ in range(PAGES):
            page = self._get(path, **params)
            found += _items(page, key, self._shown)
            following = page.get("next")
            if following is None:
                return tuple(found)
            href = following.get("href") if isinstance(following, dict) else None
            start = parse_qs(urlsplit(href).query).get("start", [""])[0] if isinstance(href, str) else ""
            if not start or start in seen:
                break
            seen.add(start)
            params = {"start": start}
        raise CloudError("metadata_malformed", f"the metadata service at {self._shown}: the pages of {key} do not end")

    def _options(self) -> dict[str, Any]:
        return {
            "timeout": (self._limits.connect, self._limits.read),
            "allow_redirects": False,
            "stream": True,
        }

    def _send(self, call: "Callable[[], Response]") -> Item:
        import requests

        try:
            with call() as response:
                body = response.raw.read(MAX_BYTES + 1, decode_content=True)
                status = response.status_code
        except requests.exceptions.SSLError:
            raise CloudError(
                "metadata_off", f"the metadata service at {self._shown}: no TLS connection could be made; {_OFF}"
            ) from None
        except (requests.exceptions.RequestException, OSError) as error:
            how = "no answer in time" if isinstance(error, requests.exceptions.Timeout) else "no answer"
            raise CloudError("metadata_off", f"{how} from a metadata service at {self._shown}; {_OFF}") from None
        except Exception as error:  # noqa: BLE001 - urllib3's own, of a body that breaks off
            said = one_line(type(error).__name__, 40)
            raise CloudError("metadata_malformed", f"the metadata service at {self._shown}: {said}; {_OTHER}") from None
        if status != 200:
            raise self._refused(status, body)
        if len(body) > MAX_BYTES:
            raise CloudError("metadata_malformed", f"the metadata service at {self._shown} answers without end")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise CloudError("metadata_malformed", f"what {self._shown} answers is not JSON; {_OTHER}")
        return cast(Item, well_formed(answer))

    def _refused(self, status: int, body: bytes) -> CloudError:
        where = f"the metadata service at {self._shown}"
        if status == 429 or status >= 500:
            return CloudError("metadata_refused", f"{where} fails ({status}{_said(body)}); run again")
        if status in (401, 403) and _said(body):
            return CloudError("metadata_refused", f"{where} refuses ({status}{_said(body)}); {_OFF}")
        return CloudError("metadata_other", f"{self._shown} answers {status}{_said(body)}: {_OTHER}")


def _checked(url: str) -> str:
    """The address as messages show it. Raises CloudError."""
    shown = shown_url(url)
    if shown is None or not is_http(shown):
        raise CloudError("bad_endpoint", f"VNICHECK_METADATA_URL is not a URL like {DEFAULT_URL}")
    return shown


def _items(answer: Item, key: str, shown: str) -> tuple[Item, ...]:
    found = answer.get(key)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise CloudError(
            "metadata_malformed", f"the metadata service at {shown}: no list {key} in its answer; {_OTHER}"
        )
    return tuple(found)


def _said(body: bytes) -> str:
    """The service's own message, if it is one."""
    try:
        message = json.loads(body)["errors"][0]["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return f', "{one_line(redact(message, ()), 120)}"' if isinstance(message, str) else ""
