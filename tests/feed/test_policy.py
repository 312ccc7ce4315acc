"""The organisation's policy: who changes it, and who is asked to accept its guidelines."""
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.eventstore.model import EditConflict, InvalidArgument
from libs.testing.spec import Spec
from services.feed.commands.policy import AcceptGuidelines, ChangePolicy, ChangeWatch
from services.feed.deciders import acceptance, policy, watch
from services.feed.queries.policy import Policy, fetch_policy
from tests.feed.worlds import ABORTED, DENIED, FAILED, INVALID, MISSING, MODERATOR, SECRET, Feed, refused
from watercooler.feed.v1 import policy_service_pb2 as api
from watercooler.feed.v1.policy_events_pb2 import GuidelinesAccepted, PolicyChanged
from watercooler.feed.v1.policy_service_pb2_grpc import PolicyServiceStub

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def changing(**fields: Any) -> ChangePolicy:
    return ChangePolicy(**{"changer_id": "ann", "reason": "agreed", "now": NOW} | fields)


def changed(**fields: Any) -> PolicyChanged:
    event = PolicyChanged(**{
        "values": policy.DEFAULT_VALUES, "anonymous_questions": True, "blocking_allowed": True, "changer_id": "ann", "reason": "agreed",
    } | fields)
    event.change_time.FromDatetime(NOW)
    return event


def test_a_change_says_the_whole_policy() -> None:
    Spec(policy).given().when(changing(blocking_allowed=False)).then(changed(blocking_allowed=False))
    Spec(policy).given(changed(blocking_allowed=False)).when(changing(values=("Care",))).then(
        changed(blocking_allowed=False, values=["Care"])
    )
    Spec(policy).given(changed(blocking_allowed=False)).when(changing(blocking_allowed=False)).then_nothing()


def test_everybody_is_asked_again_only_about_a_change_in_substance() -> None:
    first = changed(guidelines="Be kind.", guidelines_version=1)
    Spec(policy).given().when(changing(guidelines="Be kind.")).then(first)
    Spec(policy).given(first).when(changing(guidelines="Be kind!")).then(changed(guidelines="Be kind!", guidelines_version=1))
    Spec(policy).given(first).when(changing(guidelines="Be kind and brief.", ask_again=True)).then(
        changed(guidelines="Be kind and brief.", guidelines_version=2)
    )
    Spec(policy).given(first, changed(guidelines_version=1)).when(changing(guidelines="Be kind.")).then(
        changed(guidelines="Be kind.", guidelines_version=2)
    )


def test_the_policy_has_limits() -> None:
    for fields, text in (
        ({"guidelines": "a" * 20_001}, "20,000"), ({"values": ()}, "1 to 30"), ({"values": ("Care", "care")}, "twice"),
        ({"values": ("a" * 61,)}, "60"), ({"watched_words": tuple(map(str, range(501)))}, "500"), ({"watched_words": ("a" * 61,)}, "60"),
    ):
        Spec(policy).given().when(changing(**fields)).then_rejected(text, InvalidArgument)
    Spec(policy).given().when(changing(blocking_allowed=False, reason="a" * 501)).then_rejected("500", InvalidArgument)
    Spec(policy).given(changed()).when(changing(blocking_allowed=False, etag="0")).then_rejected("meanwhile", EditConflict)


def test_an_acceptance_only_goes_up() -> None:
    accepting = AcceptGuidelines(person_id="ann", guidelines_version=2, now=NOW)
    accepted = GuidelinesAccepted(person_id="ann", guidelines_version=2)
    accepted.accept_time.FromDatetime(NOW)
    Spec(acceptance).given().when(accepting).then(accepted)
    Spec(acceptance).given(accepted).when(accepting).then_nothing()


def test_a_watch_is_made_on_what_was_seen() -> None:
    Spec(watch).given().when(ChangeWatch(community_id="c", words=(), changer_id="ann", now=NOW)).then_nothing()
    Spec(watch).given().when(ChangeWatch(community_id="c", words=("a",), changer_id="ann", now=NOW, etag="1")).then_rejected(
        "meanwhile", EditConflict
    )


@pytest.fixture
def stub(feed: Feed) -> Any:
    return feed.world.stub(PolicyServiceStub, "feed")


async def test_administrators_change_the_policy_and_people_accept_its_guidelines(feed: Feed, stub: Any) -> None:
    ann, bob = await feed.person("ann", "administrator"), await feed.person("bob")
    database = feed.world.store("feed").database
    assert await fetch_policy(database) == Policy()
    with feed.by(bob):
        fresh = await stub.GetPolicy(api.GetPolicyRequest())
        assert (list(fresh.values), fresh.acceptance_due, fresh.etag) == (list(policy.DEFAULT_VALUES), False, "0")
        with refused(DENIED, "administrators"):
            await stub.ChangePolicy(api.ChangePolicyRequest(guidelines="Mine", update_mask=["guidelines"]))
        with refused(FAILED, "no guidelines"):
            await stub.AcceptGuidelines(api.AcceptGuidelinesRequest())
    with feed.by(ann, "employee", "administrator"):
        with refused(INVALID, "update_mask", "update_mask"):
            await stub.ChangePolicy(api.ChangePolicyRequest(guidelines="Be kind."))
        seen = await stub.ChangePolicy(api.ChangePolicyRequest(
            guidelines="Be kind.", watched_words=["  weapon ", "weapon", "top   secret"], etag="0",
            update_mask=["guidelines", "watched_words"],
        ))
        assert list(seen.watched_words) == ["weapon", "top secret"]
        with refused(ABORTED, "meanwhile"):
            await stub.ChangePolicy(api.ChangePolicyRequest(blocking_allowed=False, update_mask=["blocking_allowed"], etag="0"))
    with feed.by(bob):
        due = await stub.GetPolicy(api.GetPolicyRequest())
        assert (due.guidelines, due.acceptance_due, list(due.watched_words)) == ("Be kind.", True, [])
        with refused(INVALID, "newer", "guidelines_version"):
            await stub.AcceptGuidelines(api.AcceptGuidelinesRequest(guidelines_version=7))
        done = await stub.AcceptGuidelines(api.AcceptGuidelinesRequest(guidelines_version=due.guidelines_version))
        assert (done.acceptance_due, done.my_accepted_version) == (False, 1)
    assert (await fetch_policy(database)).watched_words == ("weapon", "top secret")


async def test_a_community_watches_for_words_of_its_own(feed: Feed, stub: Any) -> None:
    ann, bob, eve = [await feed.person(name) for name in ("ann", "bob", "eve")]
    community = await feed.community(ann, "Lab", kind=SECRET)
    await feed.add(ann, community.community_id, bob, MODERATOR)
    with feed.by(bob):
        changed_words = await stub.ChangeWatch(api.ChangeWatchRequest(community_id=community.community_id, words=["leak"], etag="0"))
        assert (list(changed_words.words), changed_words.etag) == (["leak"], "1")
        assert (await stub.GetWatch(api.GetWatchRequest(community_id=community.community_id))).words == ["leak"]
    with feed.by(eve), refused(MISSING):
        await stub.GetWatch(api.GetWatchRequest(community_id=community.community_id))
