"""A connection to one region's VPC API: the SDK's service object and what messages may say of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from vnicheck.cloud.answers import well_formed
from vnicheck.cloud.errors import READER, CloudError, funnel, malformed, redact
from vnicheck.model.words import one_line
from vnicheck.system.workers import bounded

T = TypeVar("T")

_PASSING = frozenset({"api_server_error", "api_unreachable", "api_rate_limited"})
"""What may pass by itself. A token service that lets a whole timeout pass is most often not there at all."""
_ABSENT = frozenset({"api_not_found", "api_unreachable", "api_timeout"})
_KEY_REFUSED = frozenset({400, 401})
"""IAM answers 400 to a key that it does not know."""


@dataclass(frozen=True)
class HttpSettings:
    """Bounds, in seconds. `connect_timeout` and `read_timeout` are of one attempt. A GET that fails is asked again
    `retries` times, as late as Retry-After says but at most `retry_wait` later. `total` is all that reading may take:
    the bulk of a region, and once more what completes it.
    """

    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    retries: int = 4
    retry_wait: float = 60.0
    total: float = 180.0


@dataclass(frozen=True)
class VpcClient:
    """`service` is the SDK's VpcV1. `credential` says where the key came from (never the key); `region` may be empty
    where the endpoint was given by VPC_URL and no region was named.
    """

    service: Any = field(repr=False)
    endpoint: str
    region: str
    credential: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    http: HttpSettings = HttpSettings()
    deadline: float | None = None
    """When all that is read with this client must be done (time.monotonic); None: each call has its own `total`."""

    def bounded(self) -> "VpcClient":
        """This client, for so much reading as can be done in `http.total` from now on."""
        return replace(self, deadline=time.monotonic() + self.http.total)

    def call(self, name: str, *args: Any, role: str = READER, **params: Any) -> dict[str, Any]:
        """The plain JSON object that the SDK's method `name` answers. Raises CloudError."""
        method: Callable[..., Any] = getattr(self.service, name)

        def work() -> Any:
            with funnel(
                name,
                endpoint=self.endpoint,
                credential=self.credential,
                secrets=self.secrets,
                role=role,
            ):
                return method(*args, **params).get_result()

        result = self._in_time(name, self.endpoint, work)
        if not isinstance(result, dict):
            raise malformed(name, self.endpoint, "the answer is not a JSON object")
        return cast(dict[str, Any], well_formed(result))

    def _in_time(self, call: str, where: str, work: Callable[[], T]) -> T:
        left = self.http.total if self.deadline is None else self.deadline - time.monotonic()
        try:
            return bounded(work, left)
        except TimeoutError:
            raise CloudError(
                "api_timeout",
                f"{call} at {where}: not done after {self.http.total:g} seconds of reading in all; "
                "run again, or allow more with --api-timeout",
            ) from None

    def authenticate(self) -> None:
        """Fetches the access token, where the credential is one that must be exchanged for a token.

        Done before any parallel reading: the SDK makes threads that find a failed exchange wait for a minute
        (ibm_cloud_sdk_core, TokenManager.paced_request_token), and its exchange has no retries of its own.
        Raises CloudError: `api_unauthorized` for a refused key, `no_token` where there is nothing to exchange.
        """
        manager = getattr(self.service.authenticator, "token_manager", None)
        if manager is None:
            return
        for attempt in range(self.http.retries + 1):
            try:
                self._exchange(manager)
                return
            except CloudError as error:
                manager.request_time = 0  # lets the next attempt start at once
                if error.code not in _PASSING or attempt == self.http.retries:
                    raise
            time.sleep(min(self.http.retry_wait, 0.5 * 2**attempt))

    def _exchange(self, manager: Any) -> None:
        where = one_line(getattr(manager, "url", None) or "the token service")

        def work() -> None:
            with funnel(
                "the token exchange",
                endpoint=where,
                credential=self.credential,
                secrets=self.secrets,
                refusals=_KEY_REFUSED,
            ):
                manager.get_token()

        try:
            self._in_time("the token exchange", where, work)
        except CloudError as error:
            if hasattr(manager, "retrieve_instance_identity_token") and error.code in _ABSENT:
                raise CloudError(
                    "no_token",
                    f"{error.message}; --auth instance needs an instance whose metadata service is on "
                    "(it is off by default) and a trusted profile linked to it",
                ) from None
            raise
        except Exception as error:  # noqa: BLE001 - the SDK's container token manager raises bare Exception
            said = one_line(redact(str(error), self.secrets), 200)
            raise CloudError(
                "no_token", f"no access token from {self.credential}: {said}; check VPC_AUTH_TYPE and its settings"
            ) from None
