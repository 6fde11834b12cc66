"""VNC301: what is disabled on bare metal, which filters nothing by itself."""

import msgspec

from tests.support.latent_cases import routed
from tests.support.servers import report, two_vnis


def test_disabled_filtering_on_bare_metal_is_what_auto_means() -> None:
    vnis = two_vnis(spoofing=False, protocol_state_filtering_mode="disabled")
    assert report(msgspec.structs.replace(routed(*vnis), kind="bare_metal_server")).findings == ()


def test_bare_metal_filters_nothing_by_itself() -> None:
    of = msgspec.structs.replace(routed(), kind="bare_metal_server")
    assert report(of).findings == ()
