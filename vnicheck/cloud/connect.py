"""From credentials and a region to a VpcClient: the ways that the contract names, in its order."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vnicheck.cloud.answers import bounded_answer
from vnicheck.cloud.client import HttpSettings, VpcClient
from vnicheck.cloud.credentials import Access, Credential, find_credential, named_credential
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.sdk_environment import SECRETS, external_settings, names_credentials, sdk_environment
from vnicheck.cloud.urls import is_http, shown_url
from vnicheck.model.words import one_line

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse
    from urllib3.util.retry import Retry

API_VERSION = "2026-10-06"
"""The API's behaviour is that of this date, whatever the SDK's own default (ibm-vpc 0.36 documents this one)."""

_SHORT = 1 << 16
"""Bytes of a refusal that are read, so that its connection can be used again."""
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_ENDPOINT = re.compile(r"([a-z0-9-]+)(?:\.private)?\.iaas\.cloud\.ibm\.com")


def connect(
    *,
    region: str | None,
    environ: Mapping[str, str],
    auth: str | Access | None,
    http: HttpSettings | None = None,
    url: str | None = None,
) -> VpcClient:
    """A client for one region; nothing is asked of the network yet.

    `auth`: what the command line says; `instance` skips the other ways. VPC_URL and VPC_AUTH_URL hold for every way;
    VPC_URL wins over the region, whose name takes the place of `{region}` in it; `url` wins over both. With VPC_*
    credentials and neither VPC_URL nor a region the SDK's own default endpoint holds.
    Raises CloudError: `no_credentials`, `no_region`, `bad_region`, `region_conflict`, `bad_endpoint`, `bad_auth`,
    `bad_credentials`, `bad_credentials_file`, `bad_session`, `session_expired`.
    """
    access = auth if isinstance(auth, Access) else Access(auth=auth)
    if access.auth not in (None, "instance"):
        raise CloudError("bad_auth", f"--auth {one_line(access.auth, 40)!r} is not known: the only value is instance")
    if access.names_key and access.auth is not None:
        raise CloudError("bad_auth", "--auth instance takes no key: leave out --api-key-file and --api-key-command")
    _quieten()
    limits = http or HttpSettings()
    asked = _first(environ, "IBMCLOUD_REGION", "IC_REGION") if region is None else region
    _require_region(asked)
    settings, source = external_settings(environ)
    service, credential, own_default = _service(settings, source, environ, access)
    secrets = tuple(settings[name] for name in SECRETS if settings.get(name))
    if credential.secret:
        secrets += (credential.secret,)
    if asked is None and "{region}" in settings.get("URL", "{region}") and url is None:
        asked = credential.region
        _require_region(asked)
    url = (
        url
        or _placed(settings.get("URL"), asked)
        or regional_url(asked)
        or (service.service_url if own_default else None)
    )
    if url is None:
        raise CloudError("no_region", "no region: pass --region, or set IBMCLOUD_REGION (or VPC_URL)")
    endpoint, named = _described(url)
    if region is not None and named is not None and named != region:
        raise CloudError(
            "region_conflict", f"--region {region}, but VPC_URL is of {named}: unset VPC_URL or drop --region"
        )
    service.set_service_url(url)
    _bound(service, limits)
    return VpcClient(
        service=service,
        endpoint=endpoint,
        region=named or asked or "",
        credential=credential.origin,
        secrets=secrets,
        http=limits,
    )


def _require_region(name: str | None) -> None:
    """A region becomes part of the host that the key goes to. Raises CloudError `bad_region`."""
    if name is not None and not _REGION.fullmatch(name):
        raise CloudError("bad_region", f"{one_line(name, 40)!r} is not a region's name: they read like us-south")


def connect_all(
    regions: Sequence[str], *, environ: Mapping[str, str], auth: str | Access | None, http: HttpSettings | None = None
) -> tuple[VpcClient, ...]:
    """A client for each of the regions, or one for the region of the environment where none is named.

    Raises CloudError: those of `connect`, and `region_conflict` where VPC_URL leads several regions to one place.
    """
    names: Sequence[str | None] = list(dict.fromkeys(regions)) or [None]
    clients = tuple(connect(region=name, environ=environ, auth=auth, http=http) for name in names)
    if len({client.endpoint for client in clients}) < len(clients):
        raise CloudError(
            "region_conflict",
            f"VPC_URL leads {len(clients)} regions to one place, {clients[0].endpoint}: unset it, or write {{region}} "
            "in it, as in https://{region}.private.iaas.cloud.ibm.com/v1",
        )
    return clients


def _service(
    settings: Mapping[str, str], source: str, environ: Mapping[str, str], access: Access
) -> tuple[Any, Credential, bool]:
    """The SDK's service, its credential (of the SDK's own, only where it came from), and whether the SDK's own default
    endpoint may hold.
    """
    from ibm_cloud_sdk_core.authenticators import BearerTokenAuthenticator, IAMAuthenticator, VPCInstanceAuthenticator
    from ibm_vpc import VpcV1

    found = named_credential(access)
    origin = source
    try:
        if access.auth == "instance":
            authenticator = VPCInstanceAuthenticator(url=settings.get("AUTH_URL"))
            known = Credential("", "the instance's trusted profile")
            return VpcV1(version=API_VERSION, authenticator=authenticator), known, False
        if found is None and names_credentials(settings):
            known = Credential("", _described_credential(settings, source))
            with sdk_environment(settings):
                return VpcV1.new_instance(version=API_VERSION), known, True
        found = found or find_credential(environ)
        origin = found.origin
        if found.is_token:
            authenticator = BearerTokenAuthenticator(found.secret)
        else:
            authenticator = IAMAuthenticator(found.secret, url=settings.get("AUTH_URL"))
        return VpcV1(version=API_VERSION, authenticator=authenticator), found, False
    except (ValueError, TypeError, AttributeError):
        # of the SDK's checks; their texts may quote what they refuse
        raise CloudError(
            "bad_credentials",
            f"the SDK refuses the credentials of {origin}: check for quotes, braces and missing settings",
        ) from None


def _described_credential(settings: Mapping[str, str], source: str) -> str:
    kind = (settings.get("AUTH_TYPE") or settings.get("AUTHTYPE") or "").lower()
    if kind == "noauth":
        return f"no credential (VPC_AUTH_TYPE=noauth of {source})"
    if kind == "bearertoken":
        return f"VPC_BEARER_TOKEN of {source}"
    if settings.get("APIKEY"):
        return f"VPC_APIKEY of {source}"
    return f"the VPC_* credential of {source}"


def _placed(url: str | None, region: str | None) -> str | None:
    """VPC_URL with the region's name where it says `{region}`."""
    if url is None or "{region}" not in url:
        return url
    if region is None:
        raise CloudError("no_region", "VPC_URL has a place for {region}: pass --region, or set IBMCLOUD_REGION")
    return url.replace("{region}", region)


def regional_url(region: str | None, *, private: bool = False) -> str | None:
    """IBM's own endpoint of a region."""
    return None if region is None else f"https://{region}{'.private' if private else ''}.iaas.cloud.ibm.com/v1"


def _described(url: str) -> tuple[str, str | None]:
    """An endpoint as messages show it, without any password, and the region that its host names."""
    shown = shown_url(url)
    if shown is None or not is_http(shown):
        raise CloudError("bad_endpoint", "VPC_URL is not a URL like https://us-south.iaas.cloud.ibm.com/v1")
    parts = urlsplit(url)
    named = _ENDPOINT.fullmatch(parts.hostname or "")
    return one_line(f"{shown}{parts.path.rstrip('/')}", 120), named.group(1) if named else None


def _bound(service: Any, limits: HttpSettings) -> None:
    """Timeouts for every request, and no redirects; retries for GETs, within `limits` whatever the server asks."""
    service.set_http_config(
        {
            "timeout": (limits.connect_timeout, limits.read_timeout),
            "allow_redirects": False,
            "hooks": {"response": bounded_answer},
        }
    )
    service.enable_retries(max_retries=limits.retries, retry_interval=limits.retry_wait)
    service.http_adapter.max_retries = _retry(limits)


def _retry(limits: HttpSettings) -> "Retry":
    from urllib3.exceptions import InvalidHeader, MaxRetryError, ResponseError
    from urllib3.util.retry import Retry

    class BoundedRetry(Retry):
        """Waits as Retry-After says; where that is longer than `limits` allow, it does not ask again. The last bad
        answer is returned, not raised.
        """

        def get_retry_after(self, response: "BaseHTTPResponse") -> float | None:
            try:
                return super().get_retry_after(response)
            except InvalidHeader:
                return None

        def increment(self, *args: Any, **kwargs: Any) -> "BoundedRetry":
            response = kwargs.get("response")
            if response is not None and not _is_short(response.headers.get("Content-Length")):
                response.close()  # urllib3 would read to its end whatever it is not going to use
            if response is not None and (self.get_retry_after(response) or 0) > limits.retry_wait:
                raise MaxRetryError(kwargs["_pool"], args[1], ResponseError("asked to wait too long"))
            return super().increment(*args, **kwargs)

    return BoundedRetry(
        total=limits.retries,
        connect=min(limits.retries, 2),
        read=min(limits.retries, 1),
        other=min(limits.retries, 1),
        backoff_factor=min(0.5, limits.retry_wait),
        backoff_max=limits.retry_wait,
        status_forcelist=[429, 500, 502, 503, 504],
        allowed_methods=["GET"],
        raise_on_status=False,
    )


def _is_short(length: str | None) -> bool:
    return length is not None and length.isdecimal() and int(length) <= _SHORT


def _quieten() -> None:
    """The SDK logs TLS failures with their traceback; without a handler Python would print them to stderr."""
    logger = logging.getLogger("ibm-cloud-sdk-core")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    """The first of the variables that is set and not blank."""
    for name in names:
        value = environ.get(name, "").strip()
        if value:
            return value
    return None
