"""A client that gives up fast, and why it did."""

import pytest

from vnicheck.cloud.client import HttpSettings, VpcClient
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.read import read_region

FAST = HttpSettings(connect_timeout=2.0, read_timeout=5.0, retries=2, retry_wait=0.05)


def failure(client: VpcClient) -> CloudError:
    """Why the region could not be read, in words that can be shown."""
    with pytest.raises(CloudError) as caught:
        read_region(client)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 600
    return caught.value
