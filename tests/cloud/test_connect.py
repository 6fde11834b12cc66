"""Where credentials and endpoints come from (the contract's section of that name), and what never leaves them."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.api import StandIn, World
from tests.support.patience import ends_in_time
from tests.support.vpc_client import FAST
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.connect import connect
from vnicheck.cloud.credentials import NO_CREDENTIALS
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.read import read_region

KEY = "k3y-0f-a-kind-that-n0body-may-see"


def open_client(environ: Mapping[str, str], region: str | None = None, auth: str | None = None) -> VpcClient:
    return connect(region=region, environ=environ, auth=auth, http=FAST)


def refusal(environ: Mapping[str, str], region: str | None = None, auth: str | None = None) -> CloudError:
    with pytest.raises(CloudError) as caught:
        open_client(environ, region, auth)
    return caught.value


def key_of(client: VpcClient) -> str:
    return str(client.service.authenticator.token_manager.apikey)


def test_without_credentials_the_ways_are_named() -> None:
    error = refusal({})
    assert error.code == "no_credentials"
    assert error.message == NO_CREDENTIALS
    for way in ("IBMCLOUD_API_KEY", "--api-key-file", "ibmcloud login", "VPC_AUTH_TYPE", "--auth instance"):
        assert way in error.message


def test_the_environment_of_the_sdk_comes_first() -> None:
    environ = {
        "VPC_AUTH_TYPE": "iam",
        "VPC_APIKEY": KEY,
        "VPC_URL": "https://vpc.test/v1/",
        "IBMCLOUD_API_KEY": "other",
    }
    client = open_client(environ)
    assert key_of(client) == KEY
    assert client.endpoint == client.service.service_url == "https://vpc.test/v1"
    assert client.credential == "VPC_APIKEY of the environment"


def test_a_named_credentials_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.env"
    path.write_text(f"VPC_AUTH_TYPE=iam\nVPC_APIKEY={KEY}\nVPC_URL=https://eu-de.iaas.cloud.ibm.com/v1\n")
    client = open_client({"IBM_CREDENTIALS_FILE": str(path), "VPC_APIKEY": "other"})
    assert key_of(client) == KEY
    assert client.region == "eu-de"
    assert "IBM_CREDENTIALS_FILE" in client.credential


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_named_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.env"
    if content is not None:
        path.write_bytes(content)
    error = refusal({"IBM_CREDENTIALS_FILE": str(path), "IBMCLOUD_API_KEY": KEY}, region="us-south")
    assert error.code == "bad_credentials_file"
    assert "mine.env" in error.message


def test_a_file_lying_in_the_current_folder_or_home_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = "VPC_URL=https://evil.test/v1\nVPC_AUTH_TYPE=iam\nVPC_AUTH_URL=https://evil.test\nVPC_APIKEY=bait\n"
    (tmp_path / "ibm-credentials.env").write_text(hostile)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert refusal({}).code == "no_credentials"
    by_sdk = open_client({"VPC_AUTH_TYPE": "iam", "VPC_APIKEY": KEY, "VPC_URL": "https://vpc.test/v1"})
    by_key = open_client({"IBMCLOUD_API_KEY": KEY}, region="eu-de")
    for client in (by_sdk, by_key):
        assert key_of(client) == KEY
        assert "evil" not in client.service.service_url
        assert "evil" not in str(client.service.authenticator.token_manager.url)


@pytest.mark.parametrize(("key", "region"), [("IBMCLOUD_API_KEY", "IBMCLOUD_REGION"), ("IC_API_KEY", "IC_REGION")])
def test_an_api_key_goes_to_the_regional_endpoint(key: str, region: str) -> None:
    client = open_client({key: KEY, region: "eu-gb"})
    assert key_of(client) == KEY
    assert client.endpoint == "https://eu-gb.iaas.cloud.ibm.com/v1"
    assert client.region == "eu-gb"
    assert client.credential == f"the API key of {key}"
    assert open_client({key: KEY, region: "eu-gb"}, region="jp-tok").region == "jp-tok"


def test_an_api_key_needs_a_region() -> None:
    assert refusal({"IBMCLOUD_API_KEY": KEY}).code == "no_region"


def test_variables_of_other_use_are_no_credentials() -> None:
    client = open_client({"VPC_ID": "r006-1", "VPCX": "1", "IC_API_KEY": KEY}, region="us-east")
    assert key_of(client) == KEY


def test_an_own_endpoint_serves_an_api_key_too() -> None:
    client = open_client({"VPC_URL": "https://us-east.private.iaas.cloud.ibm.com/v1", "IBMCLOUD_API_KEY": KEY})
    assert client.endpoint == "https://us-east.private.iaas.cloud.ibm.com/v1"
    assert client.region == "us-east"


def test_a_region_that_contradicts_the_endpoint_is_an_error() -> None:
    environ = {"VPC_URL": "https://us-east.iaas.cloud.ibm.com/v1", "IBMCLOUD_API_KEY": KEY}
    assert refusal(environ, region="eu-de").code == "region_conflict"
    assert open_client(environ | {"IBMCLOUD_REGION": "eu-de"}).region == "us-east"


@pytest.mark.parametrize("region", ["", "US-South", "evil.test/", "us-south\n", "us-south.evil", "a@b", "ü"])
def test_a_region_is_checked_before_it_enters_a_url(region: str) -> None:
    error = refusal({"IBMCLOUD_API_KEY": KEY}, region=region)
    assert error.code == "bad_region"
    assert "\n" not in error.message


@pytest.mark.parametrize("url", ["vpc.test", "ftp://vpc.test/v1", "http://", "http://[::1", '"https://vpc.test/v1"'])
def test_an_endpoint_that_is_no_url_is_an_error(url: str) -> None:
    assert refusal({"VPC_URL": url, "VPC_AUTH_TYPE": "noauth"}).code in ("bad_endpoint", "bad_credentials")


def test_a_password_in_the_endpoint_is_not_shown() -> None:
    client = open_client({"VPC_URL": f"https://me:{KEY}@vpc.test:8443/v1", "VPC_AUTH_TYPE": "noauth"})
    assert client.endpoint == "https://vpc.test:8443/v1"
    assert KEY not in repr(client)


def test_an_unknown_way_to_authenticate_is_an_error() -> None:
    assert refusal({"IBMCLOUD_API_KEY": KEY}, auth="magic").code == "bad_auth"


@pytest.mark.parametrize(
    "environ",
    [
        {"VPC_AUTH_TYPE": "iam", "VPC_URL": "https://vpc.test/v1"},
        {"VPC_AUTH_TYPE": "nonsense", "VPC_APIKEY": KEY},
        {"VPC_APIKEY": f"{{{KEY}}}"},
        {"VPC_AUTH_TYPE": "bearerToken"},
        {"VPC_AUTH_TYPE": "container"},
    ],
)
def test_settings_that_the_sdk_refuses_are_one_error(environ: dict[str, str]) -> None:
    error = refusal(environ)
    assert error.code == "bad_credentials"
    assert KEY not in error.message


def test_the_process_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPC_URL", "https://of-the-process.test/v1")
    monkeypatch.setenv("VCAP_SERVICES", "not JSON")
    before = dict(os.environ)
    client = open_client({"VPC_AUTH_TYPE": "noauth", "VPC_URL": "https://mine.test/v1"})
    assert client.endpoint == "https://mine.test/v1"
    assert dict(os.environ) == before


def test_requests_are_bounded() -> None:
    client = open_client({"VPC_AUTH_TYPE": "noauth", "VPC_ENABLE_RETRIES": "true", "VPC_MAX_RETRIES": "99"})
    config = client.service.http_config
    assert (config["timeout"], config["allow_redirects"]) == ((2.0, 5.0), False)
    assert config["hooks"]["response"] is not None
    for scheme in ("http://", "https://"):
        retries = client.service.http_client.get_adapter(scheme).max_retries
        assert retries.total == FAST.retries
        assert retries.allowed_methods == ["GET"]


def test_a_key_is_exchanged_for_a_token(world: World) -> None:
    with StandIn(world, api_key=KEY) as api:
        environ = {"VPC_URL": api.url, "VPC_AUTH_TYPE": "iam", "VPC_APIKEY": KEY, "VPC_AUTH_URL": api.root}
        assert len(read_region(open_client(environ)).servers) == 3
        by_key = {"VPC_URL": api.url, "IBMCLOUD_API_KEY": KEY, "VPC_AUTH_URL": api.root}
        assert len(read_region(open_client(by_key)).servers) == 3
        assert api.token_calls == ["POST /identity/token"] * 2
        assert api.unexpected == []


def test_an_instance_uses_its_trusted_profile(world: World) -> None:
    with StandIn(world, trusted_profile=True) as api:
        environ = {"VPC_URL": api.url, "VPC_AUTH_URL": api.root, "IBMCLOUD_API_KEY": KEY}
        client = open_client(environ, auth="instance")
        assert client.credential == "the instance's trusted profile"
        assert len(read_region(client).servers) == 3
        assert api.token_calls == ["PUT /instance_identity/v1/token", "POST /instance_identity/v1/iam_token"]


def test_an_instance_without_its_metadata_service_is_told(world: World) -> None:
    with StandIn(world) as api:
        client = open_client({"VPC_URL": api.url, "VPC_AUTH_URL": api.root}, auth="instance")
        with pytest.raises(CloudError, match="metadata service") as caught:
            read_region(client)
        assert caught.value.code == "no_token"
        assert len(api.token_calls) == 1


def test_a_refused_key_is_told_at_once_and_not_shown(world: World) -> None:
    with StandIn(world, api_key="another") as api:
        client = open_client({"VPC_URL": api.url, "IBMCLOUD_API_KEY": KEY, "VPC_AUTH_URL": api.root})
        with ends_in_time(), pytest.raises(CloudError) as caught:
            read_region(client)
        assert caught.value.code == "api_unauthorized"
        assert "IBMCLOUD_API_KEY" in caught.value.message
        assert KEY not in caught.value.message
        assert api.calls == []
        assert len(api.token_calls) == 1


def test_a_token_service_that_stumbles_is_asked_again(world: World) -> None:
    with StandIn(world, api_key=KEY) as api:
        api.fail("/identity/token", method="POST", status=503, times=2)
        client = open_client({"VPC_URL": api.url, "IBMCLOUD_API_KEY": KEY, "VPC_AUTH_URL": api.root})
        with ends_in_time():
            assert len(read_region(client).servers) == 3
            assert len(api.token_calls) == 3


@pytest.mark.parametrize("body", ["{}", "[]", '{"access_token": "no JWT"}', '{"access_token": 7}', "<html>"])
def test_a_token_service_that_answers_nonsense_is_one_error(world: World, body: str) -> None:
    with StandIn(world, api_key=KEY) as api:
        api.fail("/identity/token", method="POST", status=200, body=body)
        client = open_client({"VPC_URL": api.url, "IBMCLOUD_API_KEY": KEY, "VPC_AUTH_URL": api.root})
        with pytest.raises(CloudError) as caught:
            read_region(client)
        assert caught.value.code in ("api_malformed", "no_token")
        assert KEY not in caught.value.message


def test_a_container_without_its_token_is_one_error() -> None:
    client = open_client(
        {"VPC_AUTH_TYPE": "container", "VPC_IAM_PROFILE_NAME": "p", "VPC_CR_TOKEN_FILENAME": "/no/file"}
    )
    with pytest.raises(CloudError) as caught:
        read_region(client)
    assert caught.value.code == "no_token"
    assert "/no/file" in caught.value.message


def test_a_bearer_token_that_no_header_can_hold_is_not_shown() -> None:
    with StandIn(World()) as api:
        environ = {"VPC_URL": api.url, "VPC_AUTH_TYPE": "bearerToken", "VPC_BEARER_TOKEN": f"{KEY}\nX-Evil: 1"}
        with pytest.raises(CloudError) as caught:
            read_region(open_client(environ))
        assert caught.value.code == "bad_credentials"
        assert KEY not in caught.value.message
        assert api.calls == []


def test_an_answer_that_quotes_the_key_is_redacted(world: World) -> None:
    with StandIn(world, api_key=KEY) as api:
        body = f'{{"errorMessage": "no such key {KEY}\\u001b[31m"}}'
        api.fail("/identity/token", method="POST", status=400, body=body)
        client = open_client({"VPC_URL": api.url, "IBMCLOUD_API_KEY": KEY, "VPC_AUTH_URL": api.root})
        with pytest.raises(CloudError) as caught:
            read_region(client)
        assert KEY not in caught.value.message
        assert "[hidden]" in caught.value.message
        assert "\x1b" not in caught.value.message


def test_nothing_imports_the_sdk_before_it_is_used() -> None:
    import subprocess
    import sys

    rooms = "connect, read, complete, select, errors"
    code = (
        f"import sys; from vnicheck.cloud import {rooms}; print(sorted({{'ibm_vpc', 'requests'}} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
