"""Which proxy the environment puts between us and an endpoint, for messages: never with its password."""

import os
from urllib.parse import urlsplit

from vnicheck.cloud.urls import shown_url


def proxy_for(url: str) -> str | None:
    """The proxy that requests to `url` go through and the variable that names it: `http://proxy:3128 (HTTPS_PROXY)`."""
    from requests.utils import get_environ_proxies, select_proxy

    chosen = select_proxy(url, get_environ_proxies(url))
    if not chosen:
        return None
    scheme = urlsplit(url).scheme
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    variable = next((name for name in names if os.environ.get(name)), "the environment")
    shown = shown_url(chosen if "//" in chosen else f"http://{chosen}")
    return f"{shown or 'a proxy whose URL cannot be read'} ({variable})"
