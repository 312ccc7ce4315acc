"""The AsyncAPI document against the official schema, against the protos, and against events that really happened."""
from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from libs.runtime import asyncapi
from libs.runtime.settings import Settings
from libs.subscriptions.cloudevents import to_json, to_kafka
from services.main import SERVICES
from tests.gateway.conftest import Network

ROOT = Path(__file__).resolve().parents[2]
OFFICIAL = ROOT / "services/gateway/assets/node_modules/@asyncapi/specs/schemas/3.0.0.json"
KAFKA = {"kafka_brokers": "kafka-0.internal:9092", "kafka_prefix": "staging."}


@cache
def official() -> Any:
    """The schema that the AsyncAPI initiative publishes; `make dev` installs it with the other tools."""
    schema = json.loads(OFFICIAL.read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def document(**settings: Any) -> dict[str, Any]:
    return asyncapi.document(SERVICES, replace(Settings(data=Path("var")), **settings))


def check(schema: dict[str, Any], told: dict[str, Any], value: Any) -> None:
    """The value against a schema of the document, references followed, unknown properties refused."""
    whole = {**schema, "components": told["components"]}
    jsonschema.Draft7Validator(whole, format_checker=jsonschema.FormatChecker()).validate(value)


@pytest.mark.parametrize("settings", [
    {}, KAFKA, {**KAFKA, "kafka_security": "ssl"}, {**KAFKA, "kafka_security": "sasl_plaintext", "kafka_mechanism": "plain"},
    {**KAFKA, "kafka_security": "sasl_ssl", "kafka_mechanism": "scram-sha-256"},
])
def test_the_document_is_valid(settings: dict[str, Any]) -> None:
    told = json.loads(json.dumps(document(**settings)))
    assert [error.message for error in official().iter_errors(told)] == []


def test_the_official_schema_refuses_what_is_wrong() -> None:
    broken = document(**KAFKA)
    broken["operations"]["publish-feed"]["action"] = "shout"
    assert not official().is_valid(broken)
    del (unnamed := document())["info"]["title"]
    assert not official().is_valid(unnamed)


def test_every_reference_leads_somewhere() -> None:
    told = document(**KAFKA)

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for each in value:
                walk(each)
        elif isinstance(value, dict):
            if isinstance(reference := value.get("$ref"), str):
                found: Any = told
                for step in reference.removeprefix("#/").split("/"):
                    found = found[step]
            for each in value.values():
                walk(each)

    walk(told)


def test_topics_are_named_as_they_are_published_and_no_address_is_given_away() -> None:
    told = document(**KAFKA, kafka_security="sasl_ssl", kafka_username="wc", kafka_password="secret-word")
    assert told["channels"]["feed-topic"]["address"] == "staging.watercooler.feed.v1.events"
    assert told["servers"]["kafka"]["protocol"] == "kafka-secure"
    assert told["components"]["securitySchemes"]["kafka"]["type"] == "scramSha512"
    text = json.dumps(told)
    assert "kafka-0.internal" not in text
    assert "secret-word" not in text
    assert set(document()["channels"]) == {"identity-stream", "feed-stream"}, "without Kafka there are no topics"


def test_the_document_tells_what_the_protos_tell() -> None:
    schemas = document(**KAFKA)["components"]["schemas"]
    post = schemas["watercooler.feed.v1.PostPublished"]["properties"]
    assert post["body"] == {"type": "string", "description": "Markdown subset.", "x-personal": True, "x-protobuf-field": 3}
    assert post["publish_time"]["format"] == "date-time"
    assert post["tags"]["items"] == {"type": "string"}
    assert schemas["watercooler.identity.v1.PersonErased"]["x-erases"] is True
    assert schemas["watercooler.identity.v1.Profile"]["properties"]["contact"]["additionalProperties"] == {"type": "string"}
    assert "ROLE_EMPLOYEE" in schemas["watercooler.identity.v1.RoleGranted"]["properties"]["role"]["enum"]
    named = {each.full_name for service in ("identity", "feed") for each in asyncapi.event_types(service)}
    messages = document(**KAFKA)["components"]["messages"]
    assert named == {name for name in messages if not name.endswith(".CloudEvent")}
    assert "watercooler.identity.v1.Profile" not in named, "a part of events is no event"


async def test_real_events_are_as_the_document_says(network: Network) -> None:
    person = await network.person("Petra Post")
    made = await person.post("/posts", {"body": "Hello #pumps", "audience": {"kind": "everyone"}})
    assert made.status_code == 201, made.text
    await network.administrator.put(f"/posts/{made.json()['id']}/confirmation")
    told = document(**KAFKA)
    schemas, messages = told["components"]["schemas"], told["components"]["messages"]
    checked = set()
    for service in ("identity", "feed"):
        for event in await network.world.store(service).tail(0, 200):
            name = event.data.DESCRIPTOR.full_name
            check(schemas[f"watercooler.{service}.v1.CloudEvent"], told, to_json(event, service))
            strict = {**schemas[name], "additionalProperties": False}
            check(strict, told, to_json(event, service)["data"])
            key, _, headers = to_kafka(event, service)
            found = {name: value.decode() for name, value in headers}
            check({**messages[name]["headers"], "additionalProperties": False}, told, found)
            assert key.decode() == found["ce_subject"]
            checked.add(name.rpartition(".")[2])
    assert {"PersonAdded", "PostPublished", "PostReadConfirmed", "AccessTokenIssued"} <= checked


async def test_it_is_served_and_linked(network: Network) -> None:
    answer = await network.anybody.client.get("/api/asyncapi.json")
    assert answer.status_code == 200
    assert answer.json() == json.loads(json.dumps(asyncapi.document(network.world.embedded.services, network.gateway.context.settings)))
    assert set(answer.json()["channels"]) == {"identity-stream", "feed-stream"}
    assert (await network.anybody.client.get("/api/openapi.json")).json()["externalDocs"]["url"] == "/api/asyncapi.json"
