"""The configuration: what it holds by default, and what it refuses."""

from typing import Any

import msgspec
import pytest

from vnicheck.fabric.assumptions import ASSUMPTIONS
from vnicheck.model.config import Assumptions, Config


def test_every_override_is_named_as_its_assumption() -> None:
    settings = {field.encode_name for field in msgspec.structs.fields(Assumptions)}
    assert settings == {assumption.id for assumption in ASSUMPTIONS} - {
        "spoofing-internet",
        "nlb-direct",
        "public-ranges",
        "transit-unchanged",
        "vpn-source",
        "guest-firewall",
        "answered-here",
        "container-answers",
        "guest-hooks",
    }


def test_without_a_file_nothing_is_overridden() -> None:
    assert Config() == msgspec.convert({}, Config)
    assert Assumptions().client_port_range == (1024, 65535)
    assert Assumptions().remote_reachable is None


@pytest.mark.parametrize(
    ("said", "filters"),
    [
        ("disabled", (False, False, False)),
        ("enabled", (True, True, True)),
        ({}, (True, True, False)),
        ({"web-1": "disabled"}, (False, True, False)),
        ({"instance": "disabled"}, (False, False, False)),
        ({"instance": "disabled", "web-1": "enabled"}, (True, False, False)),
        ({"id-metal": "enabled"}, (True, True, True)),
    ],
)
def test_what_mode_auto_comes_to(said: Any, filters: tuple[bool, ...]) -> None:
    assume = msgspec.convert({"psf-auto": said}, Assumptions)
    servers = [("instance", "web-1", "id-1"), ("instance", "web-2", "id-2"), ("bare_metal_server", "metal", "id-metal")]
    assert tuple(assume.auto_filters(kind, *names) for kind, *names in servers) == filters


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"networks": {"on-prem": []}}, "network 'on-prem' has no prefixes"),
        ({"networks": {"on-prem": ["10.8.0.0/33"]}}, "not an IPv4 prefix"),
        ({"networks": {"on-prem": ["10.8.0.1/16"]}}, "host bits are set"),
        ({"networks": {"\x1b[31m": ["10.8.0.0/16"]}}, "network name"),
        ({"networks": {"a": ["10.8.0.0/16"], "b": ["10.8.4.0/24"]}}, "two networks share addresses"),
        ({"assumptions": {"client-ports": "1024"}}, "not a range like 1024-65535"),
        ({"assumptions": {"client-ports": "0-65535"}}, "not a range within 1-65535"),
        ({"assumptions": {"client-ports": "2000-1000"}}, "not a range within 1-65535"),
        ({"assumptions": {"client-ports": "1024-65536"}}, "not a range within 1-65535"),
        ({"assumptions": {"psf-auto": "off"}}, "Invalid enum value 'off'"),
        ({"assumptions": {"psf-auto": {"web-1": True}}}, "Expected `str`"),
        ({"assumptions": {"psf-protocols": ["sctp"]}}, "Invalid enum value 'sctp'"),
        ({"assumptions": {"spoofing-check": "no"}}, "Expected `bool`"),
        ({"assumptions": {"remote-reachable": ["10.8.0.0"]}}, None),
        ({"assumptions": {"remote-reachable": ["on-prem"]}}, "not an IPv4 address"),
        ({"assumptions": {"psf-open": True}}, "unknown field `psf-open`"),
        ({"network": {}}, "unknown field `network`"),
    ],
)
def test_what_is_refused(document: dict[str, Any], words: str | None) -> None:
    if words is None:
        assert msgspec.convert(document, Config)
        return
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(document, Config)


def test_networks_that_touch_share_nothing() -> None:
    config = msgspec.convert({"networks": {"a": ["10.8.0.0/17"], "b": ["10.8.128.0/17"]}}, Config)
    assert set(config.networks) == {"a", "b"}
    one = msgspec.convert({"networks": {"a": ["10.8.0.0/16", "10.8.4.0/24"]}}, Config)
    assert one.networks["a"] == ("10.8.0.0/16", "10.8.4.0/24")
