"""Several regions: which there are, and a client for each. The key goes to IBM's endpoints and the one asked alone."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.connect import connect, regional_url
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.lists import page_items
from vnicheck.cloud.scope import close
from vnicheck.cloud.sdk_environment import external_settings
from vnicheck.cloud.wire import convert
from vnicheck.model.words import one_line

DIRECTORY = "us-south"
"""Whom to ask for the list of regions where no region and no endpoint is given: every region answers the same."""

_NAME = re.compile(r"[a-z0-9-]{1,40}")
_PRIVATE = re.compile(r"[a-z0-9-]+\.private\.iaas\.cloud\.ibm\.com")


class RegionItem(Struct, frozen=True):
    """An item of `list_regions`. `endpoint` is without the `/v1` of the API's base path."""

    name: str
    endpoint: str
    status: str = "available"


class Unreachable(Struct, frozen=True):
    """A region that was asked for and that there is no client for."""

    region: str
    error: CloudError


def connect_regions(
    names: Sequence[str], *, everywhere: bool, environ: Mapping[str, str], auth: str | None
) -> list[VpcClient | Unreachable]:
    """A client for each region named, each once; for all regions with `everywhere`; else for the default region.

    Where VPC_URL names one endpoint, that is asked for the others'. Raises CloudError as `connect` does, where the
    regions cannot be listed, and for a name that is none of theirs (`no_such_region`).
    """
    wanted = list(dict.fromkeys(names))
    settings, _ = external_settings(environ)
    if not everywhere and len(wanted) <= 1:
        return [connect(region=wanted[0] if wanted else None, environ=environ, auth=auth)]
    if not everywhere and "URL" not in settings:
        return [connect(region=name, environ=environ, auth=auth) for name in wanted]
    asked = _directory(environ, auth)
    known = list_regions(asked)
    for name in wanted:
        if name not in known:
            hint = close(name, known) or f"; there are {one_line(', '.join(known), 200)}"
            raise CloudError("no_such_region", f"{asked.endpoint} lists no region {one_line(name, 40)!r}{hint}")
    found: list[VpcClient | Unreachable] = []
    for name, item in known.items():
        if wanted and name not in wanted:
            continue
        try:
            found.append(connect(region=name, environ=environ, auth=auth, url=_url(asked, item)))
        except CloudError as error:
            found.append(Unreachable(name, error))
    return found


def list_regions(client: VpcClient) -> dict[str, RegionItem]:
    """The account's regions by name, in the order of their names. Raises CloudError."""
    client.authenticate()
    raw = page_items(client, "list_regions", "regions", client.call("list_regions"))
    regions = [convert(item, RegionItem, "region") for item in raw]
    if not regions:
        raise CloudError("no_regions", f"{client.endpoint} lists no regions")
    return {region.name: region for region in sorted(regions, key=lambda region: region.name)}


def _directory(environ: Mapping[str, str], auth: str | None) -> VpcClient:
    try:
        return connect(region=None, environ=environ, auth=auth)
    except CloudError as error:
        if error.code != "no_region":
            raise
        return connect(region=DIRECTORY, environ=environ, auth=auth)


def _url(asked: VpcClient, item: RegionItem) -> str:
    """Where to ask a region: IBM's own endpoint for its name, or another port of the host that was asked.

    Raises CloudError where the region is not available, or the answer would send the key elsewhere.
    """
    if item.status != "available":
        raise CloudError("region_unavailable", f"the API says that this region is {one_line(item.status, 40)}")
    ours = urlsplit(asked.endpoint)
    try:
        theirs = urlsplit(item.endpoint)
    except ValueError:
        theirs = urlsplit("")
    private = _PRIVATE.fullmatch(ours.hostname or "") is not None
    official = [
        urlsplit(url or "").hostname for url in (regional_url(item.name), regional_url(item.name, private=True))
    ]
    if _NAME.fullmatch(item.name) and theirs.scheme == "https" and theirs.hostname in official:
        return str(regional_url(item.name, private=private))
    if (theirs.scheme, theirs.hostname) == (ours.scheme, ours.hostname):
        return f"{item.endpoint.rstrip('/')}/v1"
    raise CloudError(
        "bad_endpoint",
        f"the API gives it the endpoint {one_line(item.endpoint, 80)}, which is neither IBM's own for this region nor "
        "on the host that was asked: the key is not sent there",
    )
