"""Changing a VNI over real HTTP: only what was planned, only if nobody else changed it, and only when it is stable."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api import StandIn, World
from tests.support.vpc_client import FAST
from vnicheck.cloud import patch
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.connect import connect
from vnicheck.cloud.errors import CloudError

MODE = "protocol_state_filtering_mode"
ACTION = "is.virtual-network-interface.virtual-network-interface.manage-protocol-state-filtering-mode"


class Vpc:
    """The stand-in with a client, and the first VNI of web-1. `slept`: the waits; `on_sleep` runs at each."""

    def __init__(self, api: StandIn, client: VpcClient, vni: dict[str, Any]) -> None:
        self.api, self.client, self.vni = api, client, vni
        self.slept: list[float] = []
        self.on_sleep: Callable[[], object] = lambda: None
        self.sending: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.on_sleep()

    def patch(self, old: str | bool, new: str | bool, field: str = MODE) -> bool:
        return patch.patch_vni(
            self.client,
            self.vni["id"],
            field=field,
            old=old,
            new=new,
            action=ACTION,
            sleep=self.sleep,
            sending=self.sending,
        )

    def patches(self) -> list[Any]:
        return [call.body for call in self.api.calls if call.method == "PATCH"]


@pytest.fixture
def vpc(world: World) -> Iterator[Vpc]:
    with StandIn(world) as api:
        client = connect(region=None, environ=api.environ, auth=None, http=FAST)
        key = world.vni_id("web-1", 0)
        vni = next(each for each in api.world["virtual_network_interfaces"] if each["id"] == key)
        yield Vpc(api, client, vni)
        assert api.unexpected == []


def test_only_the_field_that_was_planned(vpc: Vpc) -> None:
    before = dict(vpc.vni)
    vpc.patch("auto", "disabled")
    assert vpc.patches() == [{MODE: "disabled"}]
    assert {key for key in vpc.vni if vpc.vni[key] != before[key]} == {MODE}
    vpc.patch("disabled", "auto")
    assert vpc.vni == before


def test_a_value_that_stands_already_is_not_patched(vpc: Vpc) -> None:
    assert vpc.patch("auto", "disabled")
    assert not vpc.patch("auto", "disabled"), "it is not ours to set back"
    assert len(vpc.patches()) == 1


def test_false_is_a_value(vpc: Vpc) -> None:
    vpc.patch(old=True, new=False, field="allow_ip_spoofing")
    assert vpc.vni["allow_ip_spoofing"] is False


def test_a_field_that_somebody_changed(vpc: Vpc) -> None:
    vpc.vni[MODE] = "enabled"
    with pytest.raises(CloudError, match="'enabled', no longer 'auto'") as caught:
        vpc.patch("auto", "disabled")
    assert (caught.value.code, vpc.patches()) == ("vni_changed", [])


def test_a_change_between_reading_and_patching_is_noticed(vpc: Vpc) -> None:
    """The entity tag is sent: the API refuses a patch of what it no longer is."""
    original = vpc.client.service.update_virtual_network_interface

    def late(**arguments: Any) -> Any:
        vpc.vni["name"] = "renamed"
        return original(**arguments)

    vpc.client.service.update_virtual_network_interface = late
    with pytest.raises(CloudError, match="412"):
        vpc.patch("auto", "disabled")
    assert vpc.vni[MODE] == "auto"


def test_it_is_waited_for_until_it_is_stable(vpc: Vpc) -> None:
    vpc.api.on_patch = lambda vni: vni.update(lifecycle_state="updating")
    vpc.on_sleep = lambda: vpc.vni.update(lifecycle_state="stable") if len(vpc.slept) == 3 else None
    vpc.patch("auto", "disabled")
    assert len(vpc.slept) == 3


@pytest.mark.parametrize("state", ["updating", "failed", "suspended"])
def test_one_that_does_not_become_stable(vpc: Vpc, state: str) -> None:
    vpc.api.on_patch = lambda vni: vni.update(lifecycle_state=state)
    with pytest.raises(CloudError, match=state) as caught:
        vpc.patch("auto", "disabled")
    assert caught.value.code == "vni_not_stable"
    assert sum(vpc.slept) <= patch.SETTLING + 1


def test_a_value_that_is_not_kept(vpc: Vpc) -> None:
    vpc.api.on_patch = lambda vni: vni.update({MODE: "auto"})
    with pytest.raises(CloudError, match="was set to 'disabled' and reads 'auto'") as caught:
        vpc.patch("auto", "disabled")
    assert caught.value.code == "vni_not_patched"


def test_a_missing_permission_names_the_action(vpc: Vpc) -> None:
    vpc.api.fail("/virtual_network_interfaces/*", method="PATCH", status=403)
    with pytest.raises(CloudError) as caught:
        vpc.patch("auto", "disabled")
    assert caught.value.code == "api_forbidden"
    assert f"needs the IAM action {ACTION}" in caught.value.message


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_a_patch_is_never_repeated(vpc: Vpc, status: int) -> None:
    vpc.api.fail("/virtual_network_interfaces/*", method="PATCH", status=status)
    with pytest.raises(CloudError):
        vpc.patch("auto", "disabled")
    assert len(vpc.patches()) == 1


UNANSWERED = [{"reset": True}, {"status": 502}, {"status": 504}, {"status": 200, "body": "<html>"}]


@pytest.mark.parametrize("fault", UNANSWERED)
def test_a_patch_without_an_answer_that_is_never_done(vpc: Vpc, fault: dict[str, Any]) -> None:
    """It is watched for until time is up, and then it is not said to be undone: it may still come."""
    vpc.api.fail("/virtual_network_interfaces/*", method="PATCH", **fault)
    with pytest.raises(CloudError, match="the PATCH got no answer") as caught:
        vpc.patch("auto", "disabled")
    assert caught.value.code == "patch_unanswered"
    assert len(vpc.patches()) == 1


@pytest.mark.parametrize("fault", UNANSWERED)
@pytest.mark.parametrize("late", [0, 3])
def test_a_patch_without_an_answer_that_is_done(vpc: Vpc, fault: dict[str, Any], late: int) -> None:
    vpc.api.fail("/virtual_network_interfaces/*", method="PATCH", **fault)
    vpc.on_sleep = lambda: vpc.vni.update({MODE: "disabled"}) if len(vpc.slept) == late else None
    if not late:
        original = vpc.client.service.update_virtual_network_interface

        def done(**arguments: Any) -> Any:
            vpc.vni[MODE] = "disabled"
            return original(**arguments)

        vpc.client.service.update_virtual_network_interface = done
    vpc.patch("auto", "disabled")
    assert len(vpc.slept) == late


def test_a_patch_that_never_left(vpc: Vpc) -> None:
    """Nobody listens: it cannot come later, and there is nothing to wait for."""

    def stop() -> None:
        vpc.client.service.http_client.close()  # or it goes by a connection that is open
        vpc.api.stop()

    vpc.sending = stop
    with pytest.raises(CloudError) as caught:
        vpc.patch("auto", "disabled")
    assert caught.value.code == "api_unreachable"
    assert vpc.slept == []


def test_a_vni_that_is_gone(vpc: Vpc) -> None:
    vpc.api.world["virtual_network_interfaces"].remove(vpc.vni)
    with pytest.raises(CloudError) as caught:
        vpc.patch("auto", "disabled")
    assert caught.value.code == "api_not_found"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "0717-a/../x", "0717-a?x=1", "0717-a#", "a b", "a\n", "é", "a" * 101, "%2e"]
)
def test_what_is_no_id_never_reaches_a_path(vpc: Vpc, name: str) -> None:
    asked = len(vpc.api.calls)
    with pytest.raises(CloudError, match="is no id of a VNI") as caught:
        patch.patch_vni(vpc.client, name, field=MODE, old="auto", new="disabled", action=ACTION, sleep=vpc.sleep)
    assert caught.value.code == "vni_id"
    assert len(vpc.api.calls) == asked
