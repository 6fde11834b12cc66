"""A strategy that draws guests with rules and routes that overlap."""

import re

from hypothesis import strategies as st

from tests.support import servers
from vnicheck.model.guest import Guest

prefixes = st.sampled_from(
    ["default", "0.0.0.0/1", "10.0.0.0/8", "10.0.0.0/16", "10.8.0.0/16", "10.8.0.0/17", "10.8.128.0/17", "10.8.1.7",
     "161.26.0.0/16", "192.168.0.0/16", "203.0.113.0/24", "10.0.0.128/25"]
)  # fmt: skip
routes = st.lists(
    st.builds(
        lambda prefix, kind, device, table, metric: (
            f"{kind} {prefix} table {table} metric {metric}"
            if kind
            else f"{prefix} via 10.0.0.1 dev {device} table {table} metric {metric}"
        ),
        prefixes,
        st.sampled_from(["", "", "", "", "blackhole", "throw", "unreachable"]),
        st.sampled_from(["eth0", "eth1"]),
        st.sampled_from([254, 254, 100]),
        st.sampled_from([0, 5]),
    ),
    max_size=8,
    unique_by=lambda line: tuple(re.sub(r"^(blackhole|throw|unreachable) | via \S+ dev \S+", "", line).split()),
)
rules = st.lists(
    st.sampled_from(
        ["from 10.0.0.12 lookup 100", "from all to 10.8.0.0/16 lookup 100", "from all fwmark 0x1 lookup 100",
         "from all ipproto tcp sport 80-90 lookup 100", "from all dport 443 prohibit", "not from 10.0.0.12 lookup 100",
         "from all tos 0x10 lookup 100", "from all iif lo lookup 100", "from all to 203.0.113.9 blackhole"]
    ),
    max_size=3,
    unique=True,
)  # fmt: skip
modes = st.sampled_from([0, 1, 2])


@st.composite
def guests(draw: st.DrawFn) -> Guest:
    lines = draw(rules)
    numbered = [f"{number}: {rule}" for number, rule in enumerate(lines, 100)]
    standard = ["0: from all lookup local", *numbered, "32766: from all lookup main", "32767: from all lookup default"]
    return servers.guest(
        routes=servers.TWO_DEFAULTS + "\n".join(draw(routes)),
        rules="\n".join(standard),
        rp_filter={"all": draw(modes), "eth1": draw(modes)},
    )
