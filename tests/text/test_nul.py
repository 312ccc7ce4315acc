"""NUL in messages: found wherever text can be, and taken out without touching anything else."""
from __future__ import annotations

import pytest
from google.protobuf.message import Message

from libs.text.nul import field_with_nul, without_nul
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.identity.v1 import identity_service_pb2 as identity
from watercooler.identity.v1.events_pb2 import Profile

CASES = [
    (feed.PublishPostRequest(body="a\0b"), "body", feed.PublishPostRequest(body="ab")),
    (feed.BatchGetPostsRequest(post_ids=["a", "\0"]), "post_ids", feed.BatchGetPostsRequest(post_ids=["a", ""])),
    (
        identity.CreatePersonRequest(profile=Profile(email="e", name="\0Ann")), "profile.name",
        identity.CreatePersonRequest(profile=Profile(email="e", name="Ann")),
    ),
    (
        feed.PublishPostRequest(body="x", attachments=[Attachment(blob_id="b"), Attachment(description="a\0")]), "attachments.description",
        feed.PublishPostRequest(body="x", attachments=[Attachment(blob_id="b"), Attachment(description="a")]),
    ),
    (
        identity.UpdateProfileRequest(profile=Profile(contact={"phone": "1", "room\0": "2"}, custom_fields={"a": "b"})), "profile.contact",
        identity.UpdateProfileRequest(profile=Profile(contact={"phone": "1", "room": "2"}, custom_fields={"a": "b"})),
    ),
    (identity.UpdateProfileRequest(profile=Profile(custom_fields={"a": "\0"})), "profile.custom_fields",
     identity.UpdateProfileRequest(profile=Profile(custom_fields={"a": ""}))),
]


@pytest.mark.parametrize(("message", "field", "clean"), CASES, ids=[case[1] for case in CASES])
def test_nul_is_found_and_taken_out(message: Message, field: str, clean: Message) -> None:
    assert field_with_nul(message) == field
    before = message.SerializeToString(deterministic=True)
    assert without_nul(message) == clean
    assert message.SerializeToString(deterministic=True) == before, "who sent it keeps what was sent"
    assert field_with_nul(clean) == ""
    assert without_nul(clean) is clean
