"""All regions: which there are, and a client for each. The key goes to IBM's endpoints and the one asked alone."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from vnicheck.cloud.client import HttpSettings, VpcClient
from vnicheck.cloud.connect import connect, regional_url
from vnicheck.cloud.credentials import Access
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.lists import page_items
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


def connect_everywhere(
    *, environ: Mapping[str, str], auth: str | Access | None, http: HttpSettings | None = None
) -> tuple[list[VpcClient], dict[str, CloudError]]:
    """A client for each region that the API lists, and why there is none for the others, by their names.

    Raises CloudError: those of `connect`, and where the regions cannot be listed.
    """
    asked = _directory(environ, auth, http)
    settings, _ = external_settings(environ)
    placed = "{region}" in settings.get("URL", "")
    clients: list[VpcClient] = []
    failed: dict[str, CloudError] = {}
    for name, item in list_regions(asked).items():
        try:
            if item.status != "available":
                raise CloudError("region_unavailable", f"the API says that it is {one_line(item.status, 40)}")
            url = None if placed else _url(asked, item)
            clients.append(connect(region=name, environ=environ, auth=auth, http=http, url=url))
        except CloudError as error:
            failed[name] = error
    if not clients:
        raise next(iter(failed.values()))
    return clients, failed


def list_regions(client: VpcClient) -> dict[str, RegionItem]:
    """The account's regions by name, in the order of their names. Raises CloudError."""
    client.authenticate()
    raw = page_items(client, "list_regions", "regions", client.call("list_regions"))
    regions = [convert(item, RegionItem, "region") for item in raw]
    if not regions:
        raise CloudError("no_regions", f"{client.endpoint} lists no regions")
    return {region.name: region for region in sorted(regions, key=lambda region: region.name)}


def _directory(environ: Mapping[str, str], auth: str | Access | None, http: HttpSettings | None) -> VpcClient:
    try:
        return connect(region=None, environ=environ, auth=auth, http=http)
    except CloudError as error:
        if error.code != "no_region":
            raise
        return connect(region=DIRECTORY, environ=environ, auth=auth, http=http)


def _url(asked: VpcClient, item: RegionItem) -> str:
    """Where to ask a region: IBM's own endpoint for its name, or another port of the host that was asked.

    Raises CloudError where the answer would send the key elsewhere.
    """
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
