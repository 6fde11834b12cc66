"""Reading and patching one VNI."""

from collections.abc import Callable

import pytest

from tests.api import StandIn, World
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.vni import patch_vni, read_vni

Opener = Callable[[StandIn], VpcClient]


def test_a_patch_is_applied_and_can_be_read_back(world: World, to: Opener) -> None:
    key = world.vni_id("web-1")
    with StandIn(world) as api:
        client = to(api)
        assert read_vni(client, key) == {"allow_ip_spoofing": True, "protocol_state_filtering_mode": "auto"}
        after = patch_vni(client, key, {"protocol_state_filtering_mode": "disabled"})
        assert (
            after == {"allow_ip_spoofing": True, "protocol_state_filtering_mode": "disabled"} == read_vni(client, key)
        )
        assert patch_vni(client, key, {"allow_ip_spoofing": False})["allow_ip_spoofing"] is False
        assert api.unexpected == []


@pytest.mark.parametrize("patch", [{}, {"name": "x"}, {"allow_ip_spoofing": True, "name": "x"}])
def test_only_the_two_properties_are_ever_patched(world: World, to: Opener, patch: dict[str, object]) -> None:
    with StandIn(world) as api:
        with pytest.raises(CloudError) as caught:
            patch_vni(to(api), world.vni_id("web-1"), patch)
        assert caught.value.code == "bad_patch"
        assert api.calls == []


@pytest.mark.parametrize("key", ["", "..", "../instances", "a b", "x\n"])
def test_what_is_no_id_enters_no_url(world: World, to: Opener, key: str) -> None:
    with StandIn(world) as api:
        acts: list[Callable[[], object]] = [
            lambda: read_vni(to(api), key),
            lambda: patch_vni(to(api), key, {"allow_ip_spoofing": True}),
        ]
        for act in acts:
            with pytest.raises(CloudError) as caught:
                act()
            assert caught.value.code == "bad_vni"
        assert api.calls == []


def test_a_patch_is_never_sent_twice(world: World, to: Opener) -> None:
    with StandIn(world) as api:
        for fault, code in (({"status": 503}, "api_server_error"), ({"reset": True}, "api_unreachable")):
            api.fail("/virtual_network_interfaces/*", method="PATCH", **fault)
            before = len(api.calls)
            with pytest.raises(CloudError) as caught:
                patch_vni(to(api), world.vni_id("web-1"), {"allow_ip_spoofing": True})
            assert caught.value.code == code
            assert len(api.calls) == before + 1


@pytest.mark.parametrize(
    ("patch", "needs"),
    [
        ({"allow_ip_spoofing": True}, "IP Spoofing Operator"),
        ({"protocol_state_filtering_mode": "auto"}, "manage-protocol-state-filtering-mode"),
    ],
)
def test_a_forbidden_patch_names_what_it_needs(world: World, to: Opener, patch: dict[str, object], needs: str) -> None:
    with StandIn(world) as api:
        api.fail("/virtual_network_interfaces/*", method="PATCH", status=403)
        with pytest.raises(CloudError, match=needs) as caught:
            patch_vni(to(api), world.vni_id("web-1"), patch)
        assert caught.value.code == "api_forbidden"


def test_an_unknown_vni_is_not_found(world: World, to: Opener) -> None:
    with StandIn(world) as api, pytest.raises(CloudError) as caught:
        read_vni(to(api), "0717-none")
    assert caught.value.code == "api_not_found"
