"""TLS that cannot be trusted and proxies that are in the way: which, why, and what to do; over real TLS and sockets."""

from pathlib import Path
from typing import Any

import pytest

from tests.api import StandIn, World
from tests.api.tls import self_signed
from tests.support.sshd import free_port
from tests.support.vpc_client import FAST, failure
from vnicheck.cloud.connect import connect
from vnicheck.cloud.read import read_region


def test_a_self_signed_certificate_is_refused_until_its_authority_is_named(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    certificate, key = self_signed(tmp_path)
    with StandIn(world, tls=(certificate, key)) as api:
        assert api.url.startswith("https://")
        error = failure(connect(region=None, environ=api.environ, auth=None, http=FAST))
        assert error.code == "api_tls"
        assert "self-signed certificate" in error.message
        assert "REQUESTS_CA_BUNDLE" in error.message
        assert api.calls == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert len(read_region(connect(region=None, environ=api.environ, auth=None, http=FAST)).servers) == 3
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("made", "says"), [({"days": -1}, "expired"), ({"address": "127.0.0.9"}, "IP address mismatch")]
)
def test_a_certificate_that_is_not_this_servers_or_no_longer_valid(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: dict[str, Any], says: str
) -> None:
    certificate, key = self_signed(tmp_path, **made)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with StandIn(world, tls=(certificate, key)) as api:
        error = failure(connect(region=None, environ=api.environ, auth=None, http=FAST))
    assert error.code == "api_tls"
    assert says in error.message


def test_a_port_that_does_not_speak_tls_is_told(api: StandIn) -> None:
    environ = {"VPC_URL": api.url.replace("http://", "https://"), "VPC_AUTH_TYPE": "noauth"}
    error = failure(connect(region=None, environ=environ, auth=None, http=FAST))
    assert (error.code, "does not speak TLS" in error.message) == ("api_tls", True)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_does_not_answer_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    port = free_port()
    monkeypatch.setenv(variable, f"http://someone:s3cret@127.0.0.1:{port}")
    environ = {"VPC_URL": "https://127.0.0.2/v1", "VPC_AUTH_TYPE": "noauth"}
    error = failure(connect(region=None, environ=environ, auth=None, http=FAST))
    assert error.code == "api_unreachable"
    assert f"the proxy http://127.0.0.1:{port} ({variable}): Connection refused" in error.message
    assert "NO_PROXY" in error.message
    assert "s3cret" not in error.message
    assert "someone" not in error.message


def test_a_proxy_that_wants_a_password_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with StandIn(world) as proxy:  # to CONNECT it says 501: any refusal is told alike
        monkeypatch.setenv("HTTPS_PROXY", proxy.root.replace("//", "//someone:s3cret@"))
        environ = {"VPC_URL": "https://127.0.0.2/v1", "VPC_AUTH_TYPE": "noauth"}
        error = failure(connect(region=None, environ=environ, auth=None, http=FAST))
    assert error.code == "api_unreachable"
    assert f"{proxy.root} (HTTPS_PROXY): it answered 501" in error.message
    assert "s3cret" not in error.message


def test_an_endpoint_that_no_proxy_names_is_asked_directly(api: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert len(read_region(connect(region=None, environ=api.environ, auth=None, http=FAST)).servers) == 3
