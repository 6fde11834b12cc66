"""The room's one exception, and the one funnel that turns everything the SDK and its transport raise into it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from vnicheck.cloud.answers import MAX_BYTES, EndlessAnswerError
from vnicheck.cloud.proxies import proxy_for
from vnicheck.model.words import one_line

LINE = 300
"""The longest message, and the longest excerpt of the API's own words is a third of it."""

_TOKENS = re.compile(
    r"\b(?:bearer|basic)[\s:=\"']+[\w.~+/-]{16,}=*|\beyJ[\w-]{8,}(?:\.[\w-]*){1,4}", re.ASCII | re.IGNORECASE
)
"""Credentials in the form that HTTP carries them in, and JSON Web Tokens, which IAM's are."""
READER = "the platform role Viewer on VPC Infrastructure Services"
"""What reading needs."""


class CloudError(Exception):
    """What could not be done with the cloud: a stable `code` (`api_forbidden`), and one line with what to do next."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = one_line(_TOKENS.sub("[hidden]", message), LINE * 4)
        super().__init__(self.message)


def redact(text: str, secrets: tuple[str, ...]) -> str:
    """`text` without any of `secrets`, and without anything that looks like a token."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):  # a short one may be part of a long one
        text = text.replace(secret, "[hidden]")
    return _TOKENS.sub("[hidden]", text)


@contextmanager
def funnel(
    call: str,
    *,
    endpoint: str,
    credential: str,
    secrets: tuple[str, ...] = (),
    role: str = READER,
    refusals: frozenset[int] = frozenset({401}),
) -> Iterator[None]:
    """Runs one call of the API; whatever it raises leaves as a CloudError that names `call`.

    `credential` says where the key came from, `role` what a 403 lacks, `refusals` which statuses refuse the key. Codes:
    `api_unauthorized`, `api_forbidden`, `api_not_found`, `api_rate_limited`, `api_server_error`, `api_refused` (other
    statuses), `api_unreachable`, `api_timeout`, `api_tls`, `api_malformed`, `bad_credentials`, `bad_endpoint`.
    """
    import requests
    from ibm_cloud_sdk_core import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        raise _from_status(error, call, endpoint, credential, secrets, role, refusals) from None
    except (requests.exceptions.RequestException, HTTPError) as error:
        raise _from_transport(error, call, endpoint) from None
    except EndlessAnswerError:
        raise malformed(call, endpoint, f"an answer of more than {MAX_BYTES >> 20} MiB") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # the SDK's own reading of an answer: not JSON, numbers without end, a list where an object belongs
        raise malformed(call, endpoint, "the answer is not the JSON that the VPC API documents") from None


def malformed(call: str, endpoint: str, what: str) -> CloudError:
    """An answer that cannot be the VPC API's."""
    return CloudError(
        "api_malformed",
        f"{call} at {endpoint}: {what}; check that the endpoint is a VPC API and no proxy answers for it",
    )


def _from_status(
    error: Exception,
    call: str,
    endpoint: str,
    credential: str,
    secrets: tuple[str, ...],
    role: str,
    refusals: frozenset[int],
) -> CloudError:
    status = getattr(error, "status_code", None)
    # before it is cut: half a token is one, too
    said = one_line(redact(str(getattr(error, "message", "") or ""), (*secrets, *_sent(error))), LINE // 3)
    where = f"{call} at {endpoint}: {status}"
    quoted = f' ("{said}")' if said else ""
    if not isinstance(status, int):
        return malformed(call, endpoint, "no HTTP status")
    if 200 <= status <= 299:
        return malformed(call, endpoint, "the answer is not JSON")
    if status in refusals:
        return CloudError(
            "api_unauthorized", f"{where}{quoted}; {credential} was refused: check that it is valid and of this account"
        )
    if status == 403:
        return CloudError("api_forbidden", f"{where}{quoted}; {credential} needs {role}")
    if status == 404:
        return CloudError("api_not_found", f"{where}{quoted}; check the id and the region")
    if status == 429:
        return CloudError("api_rate_limited", f"{where}{quoted}; wait a minute and run again")
    if status >= 500:
        return CloudError("api_server_error", f"{where}{quoted}; run again later, or look at the cloud's status page")
    return CloudError("api_refused", f"{where}{quoted}; the API refused the request")


def _sent(error: Exception) -> tuple[str, ...]:
    """What the request's Authorization header held, which the API may say back."""
    request = getattr(getattr(error, "http_response", None), "request", None)
    header = request.headers.get("Authorization") if request is not None else None
    return tuple(str(header).split()[1:]) if header else ()


def _from_transport(error: Exception, call: str, endpoint: str) -> CloudError:
    from requests import exceptions
    from urllib3.exceptions import ReadTimeoutError

    where = f"{call} at {endpoint}"
    proxy = proxy_for(endpoint)
    by = f", through the proxy {proxy}" if proxy is not None else ""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    if isinstance(error, (exceptions.ProxyError, exceptions.InvalidProxyURL)):
        return CloudError(
            "api_unreachable",
            f"{where}: no way through the proxy {proxy or 'of the environment'}: {_plainly(reason or cause)}; check "
            "it, or name the endpoint's host in NO_PROXY",
        )
    if isinstance(error, exceptions.Timeout) or any(isinstance(e, ReadTimeoutError) for e in (error, cause, reason)):
        return CloudError("api_timeout", f"{where}{by}: no answer in time; check the network and run again")
    if isinstance(error, exceptions.SSLError):
        return CloudError("api_tls", f"{where}{by}: {_tls(str(reason or cause))}")
    if isinstance(error, exceptions.RetryError):
        if re.search(r"\b429\b", str(reason)):
            return CloudError("api_rate_limited", f"{where}: too many requests; wait a minute and run again")
        return CloudError("api_server_error", f"{where}: server errors; run again later")
    if isinstance(error, exceptions.ChunkedEncodingError):
        return CloudError(
            "api_unreachable", f"{where}{by}: the connection broke in the middle of the answer; run again"
        )
    if isinstance(error, exceptions.ConnectionError):
        return CloudError(
            "api_unreachable",
            f"{where}{by}: cannot connect ({_plainly(reason or cause)}); check the region, the network and any proxy",
        )
    if isinstance(error, exceptions.InvalidHeader):
        return CloudError(
            "bad_credentials", f"{where}: the credential holds characters that no HTTP header may; copy it anew"
        )
    if isinstance(error, (exceptions.InvalidURL, exceptions.MissingSchema, exceptions.InvalidSchema)):
        return CloudError(
            "bad_endpoint", f"{where}: not a URL that can be asked; set VPC_URL to one like https://HOST/v1"
        )
    return malformed(call, endpoint, "the answer cannot be read")


def _tls(reason: str) -> str:
    """What went wrong with TLS, and what to do, from OpenSSL's words."""
    refused = re.search(r"certificate verify failed: ([^()\n]{1,120})", reason)
    if refused is not None:
        return (
            f"the server's certificate is not trusted ({one_line(refused.group(1), 120)}); if a proxy or an endpoint "
            "of your own has its own authority, name that authority's file in REQUESTS_CA_BUNDLE"
        )
    if re.search(r"WRONG_VERSION_NUMBER|wrong version number|HTTP_REQUEST|RECORD_LAYER", reason):
        return "what answers does not speak TLS; check the port, and whether it is http:// or https://"
    return "no TLS connection could be made; check the endpoint and any proxy"


def _plainly(reason: object) -> str:
    """The transport's reason without object addresses and internals."""
    text = one_line(reason, LINE)
    errno = re.search(r"\[Errno -?\d+\] ([^'\")]{1,80})", text)
    if errno is not None:
        return errno.group(1)
    tunnel = re.search(r"Tunnel connection failed: ([^'\")]{1,80})", text)
    if tunnel is not None:
        return f"it answered {tunnel.group(1)}"
    if "RemoteDisconnected" in text or "Connection reset" in text or "aborted" in text:
        return "the server closed the connection"
    if "timed out" in text:
        return "no answer in time"
    return "no connection"
