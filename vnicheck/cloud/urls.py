"""URLs as messages show them."""

from urllib.parse import urlsplit

from vnicheck.model.words import one_line


def shown_url(url: str) -> str | None:
    """`https://host:port`: neither the password nor the path; None where it is no URL with a host and a sound port."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or not parts.scheme:
        return None
    return one_line(f"{parts.scheme}://{host}{'' if port is None else f':{port}'}", 120)


def is_http(shown: str | None) -> bool:
    """Whether it was a URL of HTTP or HTTPS."""
    return shown is not None and shown.startswith(("http://", "https://"))
