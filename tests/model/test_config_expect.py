"""`[[expect]]` and `[[mute]]` of the configuration file: what is read, and one clear line for what is not."""

import re
from pathlib import Path

import pytest

from tests.support.servers import server
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import UserError
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.expectation import Expectation
from vnicheck.model.flow import Direction, Protocol, Scope, Verdict
from vnicheck.model.mute import Mute
from vnicheck.model.naming import Day, names_server

ROOT = Path(__file__).parents[2]
NETWORKS = '[networks]\non-prem = ["10.8.0.0/16"]\nvpc = ["10.9.0.0/16"]\n'
EXPECT = '[[expect]]\nserver = "web-*"\nto = "eth1"\nfrom = "on-prem"\nport = 443\nverdict = "delivered"\n'
MUTE = '[[mute]]\nrule = "VNC102"\nserver = "web-*"\nreason = "known"\nexpires = 2026-12-31\n'


def load(folder: Path, text: str) -> Config:
    file = folder / "vnicheck.toml"
    file.write_text(text)
    return load_config(file)


def test_the_documented_example_loads_and_names_every_setting(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/configuration.md").read_text(), re.DOTALL)
    config = load(tmp_path, example)
    assert set(config.networks) == {"on-prem", "offices"}
    assert config.assumptions.client_port_range == (32768, 60999)
    assert [each.verdict for each in config.expect] == ["delivered", "dropped", "delivered"]
    assert [each.ports for each in config.expect] == [(443, 443), (22, 22), (5432, 5433)]
    assert [(mute.rule, mute.expires) for mute in config.mute] == [("VNC102", "2026-12-31")]
    for table in (Assumptions, Expectation, Mute):
        for key in table.__struct_encode_fields__:
            assert re.search(rf"^{key} = ", example, re.MULTILINE), f"{key} is not in the example"


def test_an_expectation_of_each_direction(tmp_path: Path) -> None:
    outbound = EXPECT.replace('to = "eth1"', 'direction = "outbound"\nto = "vpc-peers"').replace("on-prem", "eth1")
    config = load(tmp_path, NETWORKS.replace("vpc", "vpc-peers") + EXPECT + outbound)
    first, second = config.expect
    assert (first.local, first.remote, first.flow_direction) == ("eth1", "on-prem", Direction.INBOUND)
    assert (second.local, second.remote, second.flow_direction) == ("eth1", "vpc-peers", Direction.OUTBOUND)
    assert (first.protocol, first.wanted) == (Protocol.TCP, Verdict.DELIVERED)


def test_what_a_remote_may_be(tmp_path: Path) -> None:
    remotes = ("on-prem", "internet", "subnet", "10.0.0.0/8", "203.0.113.9")
    config = load(tmp_path, NETWORKS + "".join(EXPECT.replace("on-prem", remote) for remote in remotes))
    assert [each.remote_prefixes(config.networks) for each in config.expect] == [
        ("10.8.0.0/16",),
        Scope.INTERNET,
        Scope.SUBNET,
        ("10.0.0.0/8",),
        ("203.0.113.9",),
    ]


def test_the_defaults(tmp_path: Path) -> None:
    (expectation,) = load(tmp_path, '[[expect]]\nserver = "a"\nfrom = "vpc"\nverdict = "dropped"\n').expect
    assert (expectation.local, expectation.protocol, expectation.ports) == (None, Protocol.TCP, (1, 65535))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EXPECT.replace("from", "form"), "[[expect]] 1: 'form' is not a setting; did you mean 'from'?"),
        (EXPECT + EXPECT.replace("to =", "two ="), "[[expect]] 2: 'two' is not a setting; did you mean 'to'?"),
        (
            EXPECT.replace("on-prem", "onprem"),
            "[[expect]] 1: 'onprem' is no network, scope, CIDR or address; there are",
        ),
        (EXPECT.replace("on-prem", "vpc"), "[[expect]] 1: 'vpc' is a network of yours and a scope: rename the network"),
        (EXPECT.replace("on-prem", "10.8.0.1/16"), "[[expect]] 1: host bits are set in prefix '10.8.0.1/16'"),
        (EXPECT.replace('from = "on-prem"\n', ""), "[[expect]] 1: 'from' is missing"),
        (EXPECT + 'direction = "outbound"\nprotocol = "icmp"\n', "[[expect]] 1: icmp has no ports: leave 'port' out"),
        (EXPECT.replace("443", "0"), "[[expect]] 1: port 0 is not within 1-65535"),
        (EXPECT.replace("443", "70000"), "[[expect]] 1: port 70000 is not within 1-65535"),
        (EXPECT.replace("443", '"90-80"'), "[[expect]] 1: port '90-80' is not within 1-65535"),
        (EXPECT.replace("443", '"http"'), "[[expect]] 1: port 'http' is neither a number nor a range like '8000-8100'"),
        (EXPECT.replace("443", "true"), "[[expect]] 1: 'port': Expected"),
        (
            EXPECT.replace("delivered", "ok"),
            "[[expect]] 1: 'verdict': Invalid enum value 'ok'; write delivered or dropped",
        ),
        (EXPECT + 'protocol = "sctp"\n', "[[expect]] 1: 'protocol': Invalid enum value 'sctp'; write tcp, udp or icmp"),
        (
            EXPECT + 'direction = "transit"\n',
            "[[expect]] 1: 'direction': Invalid enum value 'transit'; write inbound or",
        ),
        (EXPECT.replace("web-*", " "), "[[expect]] 1: 'server' is empty"),
        (EXPECT.replace('verdict = "delivered"\n', ""), "[[expect]] 1: Object missing required field `verdict`"),
        ('expect = ["web"]', "'expect': write each as a table that begins with [[expect]]"),
        ('[mute]\nrule = "VNC102"', "'mute': write each as a table that begins with [[mute]]"),
        (MUTE.replace("VNC102", "VNC1O2"), "[[mute]] 1: no rule 'VNC1O2'; did you mean 'VNC102'?"),
        (MUTE.replace("VNC102", "*"), "[[mute]] 1: no rule '*'; 'vnicheck rules' lists them"),
        (
            MUTE.replace("2026-12-31", '"2026-12-31"'),
            "[[mute]] 1: 'expires': write a date without quotes, as 2026-12-31",
        ),
        (MUTE.replace("2026-12-31", "2026-12-31T00:00:00Z"), "[[mute]] 1: 'expires': write a date without quotes"),
        (MUTE.replace('"known"', '""'), "[[mute]] 1: 'reason' is empty"),
        (MUTE + "until = 3\n", "[[mute]] 1: 'until' is not a setting; there are rule, server, reason, expires"),
        *(
            (
                re.sub(rf"^{key} = .*\n", "", MUTE, flags=re.MULTILINE),
                f"[[mute]] 1: Object missing required field `{key}`",
            )
            for key in ("rule", "server", "reason", "expires")
        ),
    ],
)
def test_what_means_nothing_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, (NETWORKS if text.startswith("[[") else "") + text)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'vnicheck.toml'}: {message}")
    assert "\n" not in said


def test_a_mutes_rule_may_be_its_name(tmp_path: Path) -> None:
    (mute,) = load(tmp_path, MUTE.replace("VNC102", "half-seen-connection")).mute
    assert mute.rule == "half-seen-connection"
    assert mute.expires == Day("2026-12-31")


@pytest.mark.parametrize(
    ("pattern", "means"),
    [
        ("web-1", True),
        ("web-*", True),
        ("web-?", True),
        ("WEB-*", False),
        ("web", False),
        ("server-id", True),
        ("server-*", False),
        ("crn:v1:server", True),
        ("crn:*", False),
    ],
)
def test_how_servers_are_named(pattern: str, means: bool) -> None:
    assert names_server(pattern, server(name="web-1")) is means
