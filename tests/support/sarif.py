"""What SARIF's schema and GitHub want of a document."""

import json
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA = json.loads((Path(__file__).parents[1] / "report" / "sarif" / "sarif-schema-2.1.0.json").read_text())
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)


def checked(data: bytes) -> Any:
    """The document, once it is what the schema and GitHub want."""
    document = json.loads(data)
    assert list(VALIDATOR.iter_errors(document)) == []
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
        assert len(rule["fullDescription"]["text"]) <= 1024
        assert len(rule["properties"]["tags"]) <= 10
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert len(result["locations"]) == 1
        steps = [
            step["location"]
            for flow in result.get("codeFlows", [])
            for thread in flow["threadFlows"]
            for step in thread["locations"]
        ]
        for location in [*result["locations"], *steps]:
            physical = location["physicalLocation"]
            uri = physical["artifactLocation"]["uri"]
            assert uri
            assert ":" not in uri, "a scheme, which GitHub refuses"
            assert not uri.startswith("/")
            assert physical["region"]["startLine"] >= 1
        assert result["partialFingerprints"]["primaryLocationLineHash"]
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
    return document
