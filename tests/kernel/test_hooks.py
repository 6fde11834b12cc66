"""Hooks leave open the packets that they may touch, and no others."""

import pytest

from tests.support.kernel_guests import make_guest, packet, replaced
from tests.support.one_packet import sent_by, taken
from vnicheck.guest.parsers.programs import ipsec_hooks
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.receive import Reception
from vnicheck.kernel.send import Sent
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.guest import Guest, Hook, HookKind

ROUTES = """
    default via 10.0.0.1 dev eth0
    10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
"""
REMOTE = "203.0.113.9"
CLIENT, SSH = (1024, 65535), (22, 22)


def kernel(hook: Hook, **sysctls: int) -> Kernel:
    guest: Guest = make_guest(
        routes=ROUTES, sysctls={key.replace("_", ".", 1): value for key, value in sysctls.items()}
    )
    return Kernel(replaced(guest, hooks=(hook,)))


def received(of: Kernel, interface: str = "eth0", source: str = REMOTE) -> Reception:
    return taken(of, interface, packet(source, "10.0.0.11"), CLIENT, SSH).reception


def sends(of: Kernel, remote: str = REMOTE) -> bool:
    return isinstance(sent_by(of, packet("10.0.0.11", remote), SSH, CLIENT), Sent)


def test_look_at_the_way_back_leaves_open_only_what_the_kernel_accepts() -> None:
    hook = Hook(kind=HookKind.SOURCE_MATCH, text="kernel module ipt_rpfilter in use")
    with pytest.raises(Undetermined, match="ipt_rpfilter"):
        received(kernel(hook))
    assert received(kernel(hook, eth1_rp_filter=1), "eth1") is Reception.RP_FILTER
    assert sends(kernel(hook))


def test_filter_on_an_interface_leaves_all_its_packets_open() -> None:
    programmed = kernel(Hook(kind=HookKind.INGRESS_PROGRAM, text="tc: clsact", interface="eth1"), eth1_rp_filter=1)
    with pytest.raises(Undetermined, match="filter on eth1"):
        received(programmed, "eth1")
    assert received(programmed) is Reception.DELIVERED
    assert sends(programmed)


def test_ipsec_leaves_open_what_its_policies_name_in_either_direction() -> None:
    hook = Hook(kind=HookKind.IPSEC, text="ip xfrm policy", src="10.0.0.0/24", dst="10.8.0.0/16")
    secured = kernel(hook)
    with pytest.raises(Undetermined, match="IPsec"):
        received(secured, source="10.8.0.4")
    with pytest.raises(Undetermined, match="IPsec"):
        sends(secured, "10.8.0.4")
    assert received(secured) is Reception.DELIVERED
    assert sends(secured)
    assert {0x0A080000, 0x0A090000} <= set(secured.ends.starts)


def test_policy_without_addresses_is_for_all() -> None:
    with pytest.raises(Undetermined, match="IPsec"):
        sends(kernel(Hook(kind=HookKind.IPSEC, text="ip xfrm policy")))


@pytest.mark.parametrize(("hooked", "open_"), [("eth0", True), ("eth1", False)])
def test_filter_on_output_leaves_open_what_leaves_by_its_interface(hooked: str, open_: bool) -> None:
    programmed = kernel(Hook(kind=HookKind.EGRESS_PROGRAM, text="tc: egress: filter bpf drop", interface=hooked))
    assert received(programmed) is Reception.DELIVERED
    if not open_:
        assert sends(programmed)
        return
    with pytest.raises(Undetermined, match=r"as they leave.*filter bpf drop"):
        sends(programmed)


def test_filter_on_output_leaves_open_what_is_forwarded_there() -> None:
    hook = Hook(kind=HookKind.EGRESS_PROGRAM, text="tc: egress", interface="eth0")
    forwarding = kernel(hook, eth1_forwarding=1)
    with pytest.raises(Undetermined, match="as they leave"):
        taken(forwarding, "eth1", packet("10.0.0.44", REMOTE), CLIENT, SSH)


def test_a_program_of_no_interface_may_refuse_what_is_taken_and_change_what_is_sent() -> None:
    programmed = kernel(Hook(kind=HookKind.BPF_PROGRAM, text="bpftool: /sys/fs/cgroup post_bind4"), eth1_rp_filter=1)
    with pytest.raises(Undetermined, match="post_bind4"):
        received(programmed)
    with pytest.raises(Undetermined, match="post_bind4"):
        sends(programmed)
    assert received(programmed, "eth1") is Reception.RP_FILTER


def test_ipsec_that_blocks_by_default_leaves_all_open() -> None:
    with pytest.raises(Undetermined, match="getdefault: out block"):
        sends(kernel(Hook(kind=HookKind.IPSEC, text="ip xfrm policy getdefault: out block")))


@pytest.mark.parametrize("kind", [HookKind.INGRESS_PROGRAM, HookKind.EGRESS_PROGRAM])
def test_filter_on_what_an_interface_stands_on_sees_its_packets_too(kind: HookKind) -> None:
    """`eth0` below is a VLAN or macvlan on `eth1`, which stands on `bus0`."""
    guest = make_guest(addresses={"eth0": ("10.0.0.11/24",), "eth1": (), "bus0": ()}, routes=ROUTES)
    parents = {"eth0": "eth1", "eth1": "bus0"}
    links = tuple(replaced(link, parent=parents.get(link.name)) for link in guest.interfaces)
    over = Kernel(replaced(guest, interfaces=links, hooks=(Hook(kind=kind, text="xdp", interface="bus0"),)))
    met, other = (received, sends) if kind is HookKind.INGRESS_PROGRAM else (sends, received)
    with pytest.raises(Undetermined, match="filter on bus0"):
        met(over)
    assert other(over)


def test_ipsec_policies_for_a_mark_or_a_device_touch_no_unmarked_packet() -> None:
    """As strongSwan makes them for a VTI, and for an xfrm interface (`ip -o xfrm policy`)."""
    every = "src 0.0.0.0/0 dst 0.0.0.0/0 \\\tdir out priority 399999 ptype main \\\t"
    tunnel = "tmpl src 10.0.0.11 dst 192.0.2.9\\\t\tproto esp reqid 1 mode tunnel\\"
    assert ipsec_hooks(f"{every}{tunnel}\tif_id 0x2a\\\n") == ()
    (hook,) = ipsec_hooks(f"{every}mark 0x2a/0xff \\\t{tunnel}\n")
    guest = replaced(make_guest(routes=ROUTES), hooks=(hook,))
    unmarked = Kernel(guest, unmarked=True)
    assert unmarked.takes_marks_for_none
    assert sends(unmarked)
    assert received(unmarked) is Reception.DELIVERED
    reflecting = replaced(guest, sysctls={**guest.sysctls, "net/ipv4/fwmark_reflect": 1})
    for marked in (Kernel(guest), Kernel(reflecting, unmarked=True)):
        with pytest.raises(Undetermined, match=r"IPsec is not modelled.*mark 0x2a/0xff"):
            sends(marked)
        with pytest.raises(Undetermined, match="IPsec"):
            received(marked)
