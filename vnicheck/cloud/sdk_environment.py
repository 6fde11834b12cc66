"""What the SDK may read while it configures itself: the caller's VPC_* settings, and no file that merely lies around.

ibm_cloud_sdk_core.utils.read_external_sources reads the file that IBM_CREDENTIALS_FILE names, else ibm-credentials.env
of the current folder, else that of the home folder, else the process's environment, else VCAP_SERVICES. A file in the
current folder could send the key elsewhere: with IBM_CREDENTIALS_FILE set to an empty file the SDK looks for no other.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vnicheck.cloud.errors import CloudError
from vnicheck.system.files import UnreadableError, read_again

_PREFIX = "VPC_"
_lock = threading.Lock()

SECRETS = ("APIKEY", "BEARER_TOKEN", "PASSWORD", "CLIENT_SECRET")
"""Settings that no message may hold."""

_CREDENTIALS = frozenset(
    {"AUTH_TYPE", "AUTHTYPE", "APIKEY", "BEARER_TOKEN", "CR_TOKEN_FILENAME"}
    | {"IAM_PROFILE_NAME", "IAM_PROFILE_ID", "IAM_PROFILE_CRN"}
)
_FILE_LIMIT = 1 << 20


def external_settings(environ: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The VPC_* settings without their prefix, and where they come from, for messages.

    As the SDK does, a credentials file that holds any of them hides the environment's. Raises CloudError
    `bad_credentials_file` where IBM_CREDENTIALS_FILE names what cannot be read.
    """
    path = environ.get("IBM_CREDENTIALS_FILE")
    if path:
        settings = _file_settings(path)
        if settings:
            return settings, "the file that IBM_CREDENTIALS_FILE names"
    settings = {key[len(_PREFIX) :]: value for key, value in environ.items() if key.startswith(_PREFIX) and value}
    return settings, "the environment"


def names_credentials(settings: Mapping[str, str]) -> bool:
    """Whether the settings say how to authenticate: VPC_URL alone, or some VPC_ID of other use, does not."""
    return not _CREDENTIALS.isdisjoint(settings)


@contextmanager
def sdk_environment(settings: Mapping[str, str]) -> Iterator[None]:
    """While it lasts, the SDK finds exactly `settings`. It reads the process's environment, which is put back after."""
    with _lock:
        saved = dict(os.environ)
        try:
            for key in saved:
                if key.startswith("VPC") or key == "VCAP_SERVICES":
                    del os.environ[key]
            os.environ["IBM_CREDENTIALS_FILE"] = os.devnull
            os.environ.update({_PREFIX + key: value for key, value in settings.items()})
            yield
        finally:
            for key in set(os.environ) - set(saved):
                del os.environ[key]
            os.environ.update(saved)


def _file_settings(path: str) -> dict[str, str]:
    try:
        text = read_again(Path(path).expanduser(), _FILE_LIMIT).decode()
    except (UnreadableError, RuntimeError, ValueError) as error:
        reason = "not a text file" if isinstance(error, ValueError) else str(error)
        raise CloudError("bad_credentials_file", f"IBM_CREDENTIALS_FILE names {path}: {reason}") from None
    pairs = (line.strip().split("=", 1) for line in text.splitlines() if "=" in line)
    return {key[len(_PREFIX) :]: value for key, value in pairs if key.startswith(_PREFIX) and value}
