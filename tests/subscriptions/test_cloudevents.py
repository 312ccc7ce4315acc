"""Events as Kafka records, in the binary mode of CloudEvents 1.0."""
from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from hypothesis import given
from hypothesis import strategies as st

from libs.eventstore.model import Metadata, Recorded
from libs.subscriptions.cloudevents import Headers, Undecodable, from_kafka, to_json, to_kafka
from libs.subscriptions.remote import to_response
from libs.testing.contracts import published
from watercooler.feed.v1.events_pb2 import PostDeleted, PostPublished
from watercooler.identity.v1.events_pb2 import PasswordChanged, PersonAdded, PersonErased, Profile

TEXT = st.text(max_size=40)
NAME = st.text(min_size=1, max_size=40)
EVENTS = st.one_of(
    st.builds(PostPublished, post_id=TEXT, author_id=TEXT, body=TEXT, tags=st.lists(TEXT, max_size=3)),
    st.builds(PostDeleted, post_id=TEXT, author_id=TEXT),
    st.builds(PersonErased, person_id=TEXT),
    st.builds(PersonAdded, person_id=TEXT, profile=st.builds(Profile, name=TEXT, languages=st.lists(TEXT, max_size=2))),
)
# 1970 to 9999, the years that RFC 3339 and Python both write.
MICROS = st.integers(0, 253_402_300_799_999_999)
RECORDED = st.builds(
    Recorded, id=NAME, stream=NAME, version=st.integers(1, 2**31), position=st.integers(1, 2**63 - 1), record_micros=MICROS, data=EVENTS,
    meta=st.builds(Metadata, actor_id=TEXT, correlation_id=TEXT, causation_id=TEXT, traceparent=TEXT), erased=st.booleans(),
)

EVENT = Recorded("e1", "post-1", 2, 7, 1_700_000_000_123_456, published(1, "text"), Metadata("ann", "c", "b", "00-trace"))


@given(RECORDED)
def test_an_event_comes_back_as_it_went(event: Recorded) -> None:
    assert from_kafka(*to_kafka(event, "feed"), "feed") == event


def test_the_record_is_what_the_binding_says() -> None:
    key, value, headers = to_kafka(EVENT, "feed")
    assert key == b"post-1"
    assert PostPublished.FromString(value) == EVENT.data
    assert dict(headers) == {
        "ce_specversion": b"1.0", "ce_id": b"e1", "ce_source": b"/watercooler/feed", "ce_type": b"watercooler.feed.v1.PostPublished",
        "ce_time": b"2023-11-14T22:13:20.123456Z", "ce_subject": b"post-1", "ce_sequence": b"7", "ce_streamversion": b"2",
        "ce_actorid": b"ann", "ce_correlationid": b"c", "ce_causationid": b"b", "traceparent": b"00-trace",
        "content-type": b"application/protobuf",
    }
    assert ("ce_erased", b"true") in to_kafka(EVENT._replace(erased=True), "feed")[2]


def _changed(name: str, value: bytes | None) -> Headers:
    headers = [header for header in to_kafka(EVENT, "feed")[2] if header[0] != name]
    return headers if value is None else [*headers, (name, value)]


@pytest.mark.parametrize(
    ("name", "value", "said", "position"),
    [
        ("ce_sequence", None, "ce_sequence is missing", None),
        ("ce_sequence", b"0", "no number from 1", None),
        ("ce_sequence", b"9" * 19, "no number from 1", None),
        ("ce_sequence", b"9" * 5000, "no number from 1", None),
        ("ce_sequence", "٣".encode(), "no number from 1", None),
        ("ce_specversion", b"0.3", "specversion is not 1.0", 7),
        ("content-type", b"application/json", "content-type is not", 7),
        ("ce_source", b"/somebody/else", "ce_source is not /watercooler/feed", None),
        ("ce_subject", b"post-2", "key is not the stream", 7),
        ("ce_subject", b"\xff", "not UTF-8", 7),
        ("ce_id", None, "ce_id is missing", 7),
        ("ce_time", b"yesterday", "RFC 3339", 7),
        ("ce_time", b"2026-01-01T00:00:00", "offset from UTC", 7),
        ("ce_streamversion", b"-1", "no number from 1", 7),
    ],
)
def test_what_is_wrong_is_said(name: str, value: bytes | None, said: str, position: int | None) -> None:
    key, body, _ = to_kafka(EVENT, "feed")
    with pytest.raises(Undecodable, match=said) as caught:
        from_kafka(key, body, _changed(name, value), "feed")
    assert caught.value.position == position and caught.value.event is None


@pytest.mark.parametrize(("key", "value"), [(None, b""), (b"post-1", None), (b"\xff", b""), (b"post-1", b"\xff\xff\xff")])
def test_a_key_or_a_value_that_is_none_is_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(Undecodable) as caught:
        from_kafka(key, value, to_kafka(EVENT, "feed")[2], "feed")
    assert caught.value.position == 7


def test_an_event_of_an_unknown_type_has_its_place() -> None:
    key, value, _ = to_kafka(EVENT, "feed")
    with pytest.raises(Undecodable, match="not known to this version") as caught:
        from_kafka(key, value, _changed("ce_type", b"watercooler.feed.v1.PostFolded"), "feed")
    event = caught.value.event
    assert event is not None and (event.position, event.stream) == (7, "post-1")
    assert isinstance(event.data, AnyMessage) and event.data.value == value


HEADER_NAMES = st.sampled_from(["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_sequence", "content-type"])
HEADERS = st.lists(st.tuples(HEADER_NAMES, st.none() | st.binary(max_size=30)))


@given(st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=60), HEADERS)
def test_garbage_is_refused_and_nothing_else_happens(key: Any, value: Any, headers: Any) -> None:
    with pytest.raises(Undecodable):
        from_kafka(key, value, headers)


@given(st.data())
def test_a_damaged_record_is_refused_or_an_event(data: st.DataObject) -> None:
    key, value, headers = to_kafka(EVENT, "feed")
    index = data.draw(st.integers(0, len(headers) - 1))
    headers[index] = (headers[index][0], data.draw(st.binary(max_size=40)))
    damaged = data.draw(st.sampled_from([value, value[: data.draw(st.integers(0, len(value)))]]))
    try:
        event = from_kafka(key, damaged, headers)
    except Undecodable:
        return
    assert event.stream == "post-1" and event.position >= 1


def test_what_only_the_service_may_know_stays_in_its_log() -> None:
    changed = PasswordChanged(person_id="ann", password_hash="$argon2id$v=19$secret", rehashed=True)
    event = EVENT._replace(data=changed)
    assert from_kafka(*to_kafka(event, "identity"), "identity").data == PasswordChanged(person_id="ann", rehashed=True)
    assert to_response(event).data == PasswordChanged(person_id="ann", rehashed=True).SerializeToString()
    assert to_json(event, "identity")["data"] == {"person_id": "ann", "rehashed": True}
    assert changed.password_hash == "$argon2id$v=19$secret", "the event itself is as it was"
