"""`--format json` against its published schema and the contract's list of fields."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from tests.support import reports
from tests.support.program import run
from vnicheck.model.flow import DropCode
from vnicheck.model.report import Report, encode_instance, encode_report

INSTANCE = "id name crn kind vpc zone status problems interfaces flows findings"
INTERFACE = "name mac addresses rp_filter vni"
VNI = "id name protocol_state_filtering_mode protocol_state_filtering allow_ip_spoofing addresses floating_ips"
FLOW = "direction protocol remote remote_scope local ingress egress symmetric verdict dropped_by drops hops findings"
FINDING = "rule name severity confidence headline message fingerprint affected flows evidence fixes"
DROP_CODES = """network_acl security_group no_floating_ip rp_filter martian_source not_local interface_down no_route
blackhole unreachable prohibit ip_spoofing_check protocol_state_filtering floating_ip vpc_route"""


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(run("schema", "report").stdout)
    jsonschema.Draft202012Validator.check_schema(read)
    return read


@pytest.mark.parametrize("name", reports.ALL)
def test_a_report_fits_its_schema_and_the_contract(name: str, schema: dict[str, Any]) -> None:
    report = reports.ALL[name]()
    data = encode_report(report)
    assert data.endswith(b"}\n")
    read = json.loads(data)
    jsonschema.Draft202012Validator(schema).validate(read)
    assert msgspec.json.decode(data, type=Report) == report

    assert set(read) == {"schema", "tool", "generated_at", "complete", "summary", "instances"}
    assert read["schema"] == "vnicheck.report/2"
    assert set(read["tool"]) == {"name", "version"}
    assert set(read["summary"]) == {"instances", "analyzed", "incomplete", "skipped", "findings", "muted"}
    assert set(read["summary"]["findings"]) == {"error", "warning", "note"}
    for instance in read["instances"]:
        assert set(INSTANCE.split()) <= set(instance)
        assert set(instance["vpc"]) == {"id", "name"}
        for problem in instance["problems"]:
            assert set(problem) == {"code", "message"}
        for interface in instance["interfaces"]:
            assert set(INTERFACE.split()) <= set(interface)
            assert set(interface["rp_filter"]) == {"all", "interface", "effective"}
            assert interface["vni"] is None or set(VNI.split()) <= set(interface["vni"])
        for flow in instance["flows"]:
            _check_flow(flow, instance)
        for finding in instance["findings"]:
            assert set(FINDING.split()) == set(finding)
            assert finding["message"].startswith(finding["headline"])
            assert not finding["headline"].endswith((".", ":", ";"))
            assert finding["confidence"] in {"observed", "computed", "assumed"}
            assert max(finding["flows"], default=-1) < len(instance["flows"])
            assert all(set(fix) == {"title", "commands"} for fix in finding["fixes"])


def test_commands_stand_apart_from_their_title() -> None:
    instance = json.loads(encode_report(reports.ALL["check-1"]()))["instances"][0]
    fixes = {fix["title"]: fix["commands"] for finding in instance["findings"] for fix in finding["fixes"]}
    assert [command.split()[:3] for command in fixes["policy routing"]] == [
        *[["ip", "route", "add"]] * 2,
        ["ip", "rule", "add"],
    ]
    assert not any(" && " in command for commands in fixes.values() for command in commands)


def _check_flow(flow: dict[str, Any], instance: dict[str, Any]) -> None:
    ports = set() if flow["protocol"] == "icmp" else {"ports"}
    to_no_host = {"to_no_host"} if all(prefix.endswith(".255/32") for prefix in flow["remote"]) else set()
    inside = {"stays_inside"} if flow["egress"] == "docker0" else set()
    assert set(flow) == set(FLOW.split()) | ports | to_no_host | inside
    assert flow["dropped_by"] == (flow["drops"][0]["by"] if flow["drops"] else None)
    assert (flow["verdict"] == "dropped") is bool(flow["drops"])
    for drop in flow["drops"]:
        assert set(drop) == {"by", "leg", "at"}
        assert drop["by"] in DROP_CODES.split()
    for hop in flow["hops"]:
        assert {"leg", "at", "stage", "outcome", "reason", "assumption"} <= set(hop)
        assert hop["outcome"] in {"pass", "drop", "unknown"}
    assert [drop["by"] for drop in flow["drops"]] == [hop["drop"] for hop in flow["hops"] if hop["outcome"] == "drop"]
    index = instance["flows"].index(flow)
    assert flow["findings"] == [finding["rule"] for finding in instance["findings"] if index in finding["flows"]]


@pytest.mark.parametrize("name", reports.ALL)
def test_a_server_without_flows_fits_the_schema_and_numbers_none(name: str, schema: dict[str, Any]) -> None:
    report = reports.ALL[name]()
    brief = [json.loads(encode_instance(instance, flows=False)) for instance in report.instances]
    whole = json.loads(encode_report(report))
    jsonschema.Draft202012Validator(schema).validate(whole | {"instances": brief})
    for each in whole["instances"]:
        del each["flows"]
        for finding in each["findings"]:
            assert bool(finding["affected"]) is bool(finding["flows"])
            del finding["flows"]
    assert brief == whole["instances"]


def test_the_drop_codes_are_the_contracts() -> None:
    assert {code.value for code in DropCode} == set(DROP_CODES.split())


def test_the_same_report_is_the_same_bytes() -> None:
    assert encode_report(reports.several()) == encode_report(reports.several())


def test_hostile_names_are_kept_but_escaped() -> None:
    data = encode_report(reports.hostile())
    assert b"\x1b" not in data
    assert b"\r" not in data
    assert json.loads(data)["instances"][0]["name"] == reports.HOSTILE
