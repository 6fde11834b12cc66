"""The token services that the SDK talks to before the VPC API: IAM, and the metadata service of an instance."""

import base64
import json
import time
from typing import Any
from urllib.parse import parse_qs

IAM = "/identity/token"
INSTANCE_TOKEN = "/instance_identity/v1/token"
INSTANCE_IAM_TOKEN = "/instance_identity/v1/iam_token"
PATHS = frozenset({IAM, INSTANCE_TOKEN, INSTANCE_IAM_TOKEN})
INSTANCE_IDENTITY = "instance-identity-token"


def access_token(now: float | None = None) -> str:
    """A JWT that the SDK can read; nobody checks its signature."""
    issued = int(time.time() if now is None else now)
    parts = ({"alg": "RS256", "typ": "JWT"}, {"iat": issued, "exp": issued + 3600})
    return ".".join([*(_base64(json.dumps(part).encode()) for part in parts), _base64(b"signature")])


def answer(
    method: str, path: str, body: bytes, authorization: str, *, api_key: str | None, trusted_profile: bool, token: str
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a token service's answer. IAM says 400 to a key that it does not know."""
    granted = {"access_token": token, "refresh_token": "none", "token_type": "Bearer", "expires_in": 3600}
    if (method, path) == ("POST", IAM):
        if api_key is not None and parse_qs(body.decode()).get("apikey") == [api_key]:
            return 200, granted
        message = "Provided API key could not be found."
        return 400, {"errorCode": "BXNIM0415E", "errorMessage": message, "context": {"requestId": "stand-in"}}
    if not trusted_profile:
        return 404, {"errors": [{"code": "not_found", "message": "the metadata service is off"}]}
    if (method, path) == ("PUT", INSTANCE_TOKEN):
        return 200, {"access_token": INSTANCE_IDENTITY, "expires_in": 300}
    if (method, path, authorization) == ("POST", INSTANCE_IAM_TOKEN, f"Bearer {INSTANCE_IDENTITY}"):
        return 200, granted
    return 401, {"errors": [{"code": "not_authorized", "message": "no instance identity token"}]}


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
