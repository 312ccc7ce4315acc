"""Mastodon.py, unchanged, against a running network: signing in, and every call it has for what the network does."""
from __future__ import annotations

import queue
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mastodon import Mastodon, StreamListener
from mastodon.errors import (
    MastodonAPIError,
    MastodonIllegalArgumentError,
    MastodonNotFoundError,
    MastodonUnauthorizedError,
)

from tests.browser.network import PASSWORD
from tests.clients.conftest import SCOPES, Server

Ask = Callable[..., Any]
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="session")
def ben(server: Server) -> Mastodon:
    """Ben's client, signed in by his password as scripts do."""
    client_id, client_secret = Mastodon.create_app("tests", api_base_url=server.address)
    client = Mastodon(client_id=client_id, client_secret=client_secret, api_base_url=server.address)
    client.log_in(server.ben[1], PASSWORD, scopes=SCOPES, allow_http=True)
    return client


@pytest.fixture(scope="session")
def carla(server: Server) -> Mastodon:
    """Carla's client, signed in by a code that she copied from her browser."""
    client_id, client_secret = Mastodon.create_app("tests of codes", api_base_url=server.address, scopes=SCOPES)
    client = Mastodon(client_id=client_id, client_secret=client_secret, api_base_url=server.address)
    code = server.authorize(client.auth_request_url(scopes=SCOPES, allow_http=True), server.carla[1])
    client.log_in(code=code, scopes=SCOPES, allow_http=True)
    return client


def test_signing_in_and_out(server: Server, ben: Mastodon, carla: Mastodon) -> None:
    assert ben.me().username == "ben.ito"
    assert carla.me().username == "carla.duarte"
    assert ben.app_verify_credentials().name == "tests"
    assert ben.oauth_authorization_server_info().token_endpoint == f"{server.address}/oauth/token"
    with pytest.raises(MastodonIllegalArgumentError):
        Mastodon(client_id=ben.client_id, client_secret=ben.client_secret, api_base_url=server.address).log_in(
            server.ben[1], "wrong", allow_http=True
        )
    other = Mastodon(client_id=ben.client_id, client_secret=ben.client_secret, api_base_url=server.address)
    other.log_in(server.ben[1], PASSWORD, scopes=SCOPES, allow_http=True)
    secret = other.access_token
    other.revoke_access_token(allow_http=True)
    with pytest.raises(MastodonUnauthorizedError):
        Mastodon(access_token=secret, api_base_url=server.address).me()


def test_a_token_does_what_its_scopes_allow(server: Server) -> None:
    scopes = ["read:statuses", "write:statuses"]
    client_id, client_secret = Mastodon.create_app("tests of scopes", api_base_url=server.address, scopes=scopes)
    client = Mastodon(client_id=client_id, client_secret=client_secret, api_base_url=server.address)
    client.log_in(server.carla[1], PASSWORD, scopes=scopes, allow_http=True)
    post = client.status_post("With few rights")
    assert post.id in [each.id for each in client.timeline_local()]
    for refused in (client.me, client.notifications, lambda: client.status_favourite(post), client.push_subscription):
        with pytest.raises(MastodonAPIError, match="Forbidden"):
            refused()


def test_the_instance(ben: Mastodon) -> None:
    assert ben.instance_v1().configuration.statuses.max_characters == 10_000
    found = ben.instance_v2()
    assert found.title == "Northwind Optics" and found.version.startswith("4.3.0")
    assert found.configuration.urls.streaming.startswith("ws://")
    assert ben.instance().domain == found.domain
    assert ben.instance_health() and ben.stream_healthy()
    assert ben.instance_nodeinfo().software.name == "watercooler"
    assert ben.instance_rules() == [] and ben.instance_peers() == [] and ben.instance_activity() == []
    assert ben.instance_extended_description().content == ""
    assert ben.instance_translation_languages() == {} and ben.instance_domain_blocks() == []
    assert [each.code for each in ben.instance_languages()] == ["en", "de"]
    assert ben.verify_minimum_version("4.0.0")
    assert ben.custom_emojis() == [] and ben.directory() == []
    assert ben.preferences()["posting:default:visibility"] == "public"


def test_writing_reading_and_answering(ben: Mastodon, carla: Mastodon, picture: Path, until: Ask) -> None:
    image = carla.media_post(str(picture), description="A boat")
    assert image.type == "image" and carla.media(image).description == "A boat"
    image = carla.media_update(image, description="A blue boat", focus=(0.1, 0.2))
    key = f"key-{image.id[:12]}"
    first = carla.status_post(
        "On the #lake with @ben.ito", media_ids=[image], sensitive=True, spoiler_text="Water", language="en", idempotency_key=key
    )
    again = carla.status_post(
        "On the #lake with @ben.ito", media_ids=[image], sensitive=True, spoiler_text="Water", language="en", idempotency_key=key
    )
    assert again.id == first.id and first.visibility == "public" and first.spoiler_text == "Water" and first.sensitive
    assert first.media_attachments[0].description == "A blue boat"
    assert [each.acct for each in first.mentions] == ["ben.ito"] and [each.name for each in first.tags] == ["lake"]

    answer = ben.status_reply(first, "Envious")
    assert answer.in_reply_to_id == first.id and answer.in_reply_to_account_id == carla.me().id
    below = carla.status_post("Come along", in_reply_to_id=answer)
    found = ben.status_context(answer)
    assert [each.id for each in found.ancestors] == [first.id] and [each.id for each in found.descendants] == [below.id]

    assert ben.status(first).replies_count == 2
    assert {each.id for each in ben.statuses([first, answer])} == {first.id, answer.id}
    changed = carla.status_update(first, "On the river", spoiler_text="Water", sensitive=True)
    assert "river" in changed.content and changed.edited_at is not None and len(changed.media_attachments) == 1
    assert carla.status_source(first).text == "On the river"
    assert ["lake" in each.content for each in carla.status_history(first)] == [True, False]
    with pytest.raises(MastodonAPIError):
        ben.status_update(first, "Not mine")
    gone = carla.status_delete(below)
    assert gone.text == "Come along"
    with pytest.raises(MastodonNotFoundError):
        ben.status(below)
    with pytest.raises(MastodonAPIError, match="blank"):
        ben.status_post("")
    assert ben.status_card(first) is None or ben.status_card(first) == {}


def test_visibility(server: Server, ben: Mastodon, carla: Mastodon, until: Ask) -> None:
    ada = Mastodon(access_token=server.administrator.token, api_base_url=server.address)
    secret = ben.status_post("@carla.duarte between us", visibility="direct")
    assert secret.visibility == "direct" and [each.acct for each in secret.mentions] == ["carla.duarte"]
    assert carla.status(secret).id == secret.id
    with pytest.raises(MastodonNotFoundError):
        ada.status(secret)
    conversation = until(carla.conversations)[0]
    assert conversation.last_status.id == secret.id and [each.acct for each in conversation.accounts] == ["ben.ito"]
    assert carla.conversations_read(conversation).id == conversation.id
    quiet = ben.status_post("For those who follow", visibility="private")
    assert quiet.visibility == "private"
    with pytest.raises(MastodonNotFoundError):
        ada.status(quiet)
    with pytest.raises(MastodonAPIError, match="names somebody"):
        ben.status_post("To nobody", visibility="direct")


def test_responding(ben: Mastodon, carla: Mastodon) -> None:
    post = carla.status_post("A thing to respond to")
    assert ben.status_favourite(post).favourited and ben.status(post).favourites_count == 1
    assert [each.acct for each in ben.status_favourited_by(post)] == ["ben.ito"]
    assert ben.favourites()[0].id == post.id
    assert not ben.status_unfavourite(post).favourited
    assert ben.status_bookmark(post).bookmarked and ben.bookmarks()[0].id == post.id
    assert not ben.status_unbookmark(post).bookmarked
    passed = ben.status_reblog(post)
    assert passed.reblog.id == post.id and passed.account.acct == "ben.ito" and ben.status(post).reblogged
    assert [each.acct for each in ben.status_reblogged_by(post)] == ["ben.ito"]
    assert not ben.status_unreblog(post).reblogged
    assert carla.status_pin(post).pinned
    assert [each.id for each in ben.account_statuses(carla.me(), pinned=True)] == [post.id]
    assert not carla.status_unpin(post).pinned
    assert ben.status_mute(post).muted and not ben.status_unmute(post).muted
    quoting = ben.status_post("Look at this", quoted_status_id=post)
    assert quoting.quote.quoted_status.id == post.id
    assert [each.id for each in carla.status_quotes(post)] == [quoting.id]


def test_polls(ben: Mastodon, carla: Mastodon) -> None:
    asked = ben.status_post("Where?", poll=ben.make_poll(["Here", "There"], expires_in=3_600))
    assert [each.title for each in asked.poll.options] == ["Here", "There"] and not asked.poll.expired
    voted = carla.poll_vote(asked.poll, 1)
    assert voted.voted and voted.own_votes == [1] and voted.options[1].votes_count == 1
    assert ben.poll(asked.poll).votes_count == 1
    with pytest.raises(MastodonAPIError):
        carla.poll_vote(asked.poll, 0)


def test_timelines(ben: Mastodon, carla: Mastodon, until: Ask) -> None:
    ben.account_follow(carla.me())
    posts = [carla.status_post(f"Number {number} #counting") for number in range(5)]
    ids = [each.id for each in reversed(posts)]
    until(lambda: [each.id for each in ben.timeline_home(limit=5)] == ids)
    page = ben.timeline_home(limit=2)
    assert [each.id for each in page] == ids[:2]
    following = ben.fetch_next(page)
    assert [each.id for each in following] == ids[2:4]
    assert [each.id for each in ben.fetch_previous(following)] == ids[:2]
    assert [each.id for each in ben.timeline_home(min_id=ids[4], limit=2)] == ids[2:4]
    assert [each.id for each in ben.timeline_home(since_id=ids[1])] == ids[:1]
    assert ids[0] in [each.id for each in ben.timeline_local()] and ids[0] in [each.id for each in ben.timeline_public()]
    assert ben.timeline_public(remote=True) == []
    assert [each.id for each in ben.timeline_hashtag("counting")][:5] == ids
    assert ben.timeline_home(max_id=datetime(2020, 1, 1, tzinfo=UTC)) == []
    assert [each.id for each in ben.account_statuses(carla.me(), limit=2, exclude_replies=True, exclude_reblogs=True)] == ids[:2]
    assert ben.timeline_link("https://example.org") == []


def test_accounts(server: Server, ben: Mastodon, carla: Mastodon, picture: Path, until: Ask) -> None:
    me, other = ben.me(), carla.me()
    assert ben.account(other).acct == "carla.duarte" and ben.account_lookup("carla.duarte").id == other.id
    with pytest.raises(MastodonNotFoundError):
        ben.account_lookup("nobody")
    assert {each.id for each in ben.accounts([me, other])} == {me.id, other.id}
    until(lambda: other.id in [each.id for each in ben.account_search("Carla")])
    assert ben.account_follow(other).following
    assert other.id in [each.id for each in ben.account_following(me)]
    assert me.id in [each.id for each in ben.account_followers(other)]
    assert [each.following for each in ben.account_relationships([other])] == [True]
    assert ben.account_note_set(other, "Knows boats").note == "Knows boats"
    assert ben.account_mute(other, duration=3_600).muting and other.id in [each.id for each in ben.mutes()]
    assert not ben.account_unmute(other).muting
    assert ben.account_block(other).blocking and other.id in [each.id for each in ben.blocks()]
    assert not ben.account_unblock(other).blocking
    assert not ben.account_unfollow(other).following
    changed = carla.account_update_credentials(
        display_name="Carla D.", note="I sail.", fields=[("Phone", "+351 1")], avatar=str(picture), locked=True
    )
    assert changed.display_name == "Carla D." and changed.source.note == "I sail." and "Phone" in [each.name for each in changed.fields]
    assert "/media/" in changed.avatar
    assert carla.account_featured_tags(me) == [] and carla.account_familiar_followers([me])[0].accounts == []
    assert ben.account_pin(other).endorsed is False and ben.endorsements() == []
    assert ben.suggestions() == [] and ben.domain_blocks() == [] and ben.featured_tags() == []
    with pytest.raises(MastodonNotFoundError):
        ben.account("01900000-0000-7000-8000-000000000000")
    carla.account_delete_avatar()
    assert carla.me().avatar.endswith("/avatars/person.png")


def test_communities_are_group_accounts(server: Server, ben: Mastodon, carla: Mastodon) -> None:
    ada = Mastodon(access_token=server.administrator.token, api_base_url=server.address)
    made = server.community("Rowing")
    group = ben.account_lookup(made["handle"])
    assert group.group and not group.locked and group.id == made["id"]
    assert ben.account_follow(group).following and ben.account_relationships(group)[0].following
    post = ben.status_post(f"@{made['handle']} Who rows on Friday?")
    assert post.visibility == "private" and "@" not in post.content and post.mentions[0].acct == made["handle"]
    assert [each.id for each in ada.account_statuses(group)] == [post.id]
    assert ben.me().id in [each.id for each in ada.account_followers(group)]
    assert not ben.account_unfollow(group).following

    closed = server.community("Board", "closed")
    group = ben.account_lookup(closed["handle"])
    assert group.locked
    asked = ben.account_follow(group)
    assert asked.requested and not asked.following
    assert [each.acct for each in ada.follow_requests()] == ["ben.ito"]
    ada.follow_request_authorize(ben.me())
    assert ben.account_relationships(group)[0].following
    carla.account_follow(group)
    ada.follow_request_reject(carla.me())
    assert not carla.account_relationships(group)[0].requested

    hidden = server.community("Secrets", "secret")
    with pytest.raises(MastodonNotFoundError):
        ben.account(hidden["id"])


def test_lists(ben: Mastodon, carla: Mastodon, until: Ask) -> None:
    other = carla.me()
    ben.account_follow(other)
    made = ben.list_create("Sailors")
    ben.list_accounts_add(made, [other])
    assert [each.id for each in ben.list_accounts(made)] == [other.id]
    assert made.id in [each.id for each in ben.account_lists(other)] and made.id in [each.id for each in ben.lists()]
    post = carla.status_post("For the list")
    until(lambda: post.id in [each.id for each in ben.timeline_list(made)])
    assert ben.list_update(made, "Rowers").title == "Rowers" and ben.list(made).title == "Rowers"
    ben.list_accounts_delete(made, [other])
    assert ben.list_accounts(made) == []
    ben.list_delete(made)
    with pytest.raises(MastodonNotFoundError):
        ben.list(made)


def test_filters(ben: Mastodon, carla: Mastodon) -> None:
    made = ben.create_filter_v2(
        title="Spoilers", context=["home", "public"], filter_action="warn", expires_in=3_600,
        keywords_attributes=[{"keyword": "finale", "whole_word": True}],
    )
    assert made.keywords[0].keyword == "finale" and made.expires_at is not None
    word = ben.add_filter_keyword_v2(made, keyword="ending")
    assert len(ben.filter_keywords_v2(made)) == 2
    ben.delete_filter_keyword_v2(word)
    assert ben.update_filter_v2(made, title="Series").title == "Series"
    assert ben.filter_v2(made).title == "Series" and made.id in [each.id for each in ben.filters_v2()]
    post = carla.status_post("The finale was long")
    shown = next(each for each in ben.timeline_public() if each.id == post.id)
    assert shown.filtered[0].filter.title == "Series" and shown.filtered[0].keyword_matches == ["finale"]
    assert ben.filter_statuses_v2(made) == []
    ben.delete_filter_v2(made)
    old = ben.filter_create("dull", ["home"], irreversible=True)
    assert old.phrase == "dull" and ben.filter(old).irreversible and old.id in [each.id for each in ben.filters()]
    assert ben.filter_update(old, phrase="duller", context=["home"], whole_word=True).phrase == "duller"
    ben.filter_delete(old)
    assert old.id not in [each.id for each in ben.filters()]


def test_tags_trends_and_search(ben: Mastodon, carla: Mastodon, until: Ask) -> None:
    post = carla.status_post("Regatta next week #regatta")
    ben.status_favourite(post)
    assert ben.tag_follow("regatta").following and "regatta" in [each.name for each in ben.followed_tags()]
    assert ben.tag("regatta").following and not ben.tag_unfollow("regatta").following
    assert "regatta" in [each.name for each in ben.trending_tags()] and ben.trends() is not None
    assert post.id in [each.id for each in ben.trending_statuses()] and ben.trending_links() == []
    found = until(lambda: (answer := ben.search("Regatta")).statuses and answer)
    assert found.statuses[0].id == post.id and found.hashtags[0].name == "regatta"
    assert [each.acct for each in ben.search("carla", result_type="accounts").accounts] == ["carla.duarte"]
    assert ben.search_v1("regatta").hashtags == ["regatta"]
    assert [each.id for each in ben.search(post.url).statuses] == [post.id]


def test_notifications(server: Server, ben: Mastodon, carla: Mastodon) -> None:
    ada = Mastodon(access_token=server.administrator.token, api_base_url=server.address)
    ada.notifications_clear()
    post = ada.status_post("Something of mine")
    ben.status_favourite(post)
    carla.status_favourite(post)
    ben.status_reblog(post)
    ben.status_reply(post, "An answer")
    found = ada.notifications()
    assert [each.type for each in found] == ["mention", "reblog", "favourite"] and "An answer" in found[0].status.content
    assert [int(each.id) for each in found] == sorted((int(each.id) for each in found), reverse=True)
    assert [each.type for each in ada.notifications(types=["favourite"])] == ["favourite"]
    assert [each.type for each in ada.notifications(exclude_types=["favourite"])] == ["mention", "reblog"]
    assert [each.id for each in ada.notifications(max_id=found[0])] == [each.id for each in found[1:]]
    assert [each.id for each in ada.notifications(min_id=found[2], limit=1)] == [found[1].id]
    assert ada.notifications(id=found[1]).type == "reblog" and ada.notifications_unread_count().count >= 3
    groups = ada.grouped_notifications()
    favourites = next(each for each in groups.notification_groups if each.type == "favourite")
    assert favourites.notifications_count == 2 and len(favourites.sample_account_ids) == 2
    assert ada.grouped_notification(favourites.group_key).notification_groups[0].type == "favourite"
    assert {each.acct for each in ada.grouped_notification_accounts(favourites.group_key)} == {"ben.ito", "carla.duarte"}
    assert ada.unread_grouped_notifications_count() >= 3
    ada.dismiss_grouped_notification(favourites.group_key)
    ada.notifications_dismiss(found[0])
    assert [each.type for each in ada.notifications()] == ["reblog"]
    ada.notifications_clear()
    assert ada.notifications() == []
    assert ada.notifications_policy().for_not_following == "accept" and ada.notification_requests() == []
    assert ada.notifications_merged()


def test_markers_schedules_announcements_reports_and_push(server: Server, ben: Mastodon, carla: Mastodon) -> None:
    post = carla.status_post("Read up to here")
    ben.markers_set(["home"], [post])
    assert ben.markers_get(["home"])["home"].last_read_id == post.id
    at = datetime.now(UTC) + timedelta(hours=2)
    waiting = ben.status_post("Later", scheduled_at=at, spoiler_text="Soon")
    assert waiting.params.text == "Later" and waiting.params.spoiler_text == "Soon"
    assert [each.id for each in ben.scheduled_statuses()] == [waiting.id] and ben.scheduled_status(waiting).id == waiting.id
    later = ben.scheduled_status_update(waiting, at + timedelta(hours=1))
    assert later.scheduled_at > waiting.scheduled_at
    ben.scheduled_status_delete(waiting)
    assert ben.scheduled_statuses() == []
    with pytest.raises(MastodonAPIError, match="5 minutes"):
        ben.status_post("Too soon", scheduled_at=datetime.now(UTC) + timedelta(seconds=30))
    assert ben.announcements() == []
    report = ben.report(carla.me(), status_ids=[post], comment="Please look", category="spam")
    assert report.category == "spam" and report.target_account.id == carla.me().id and list(report.status_ids) == [post.id]
    _, public = ben.push_subscription_generate_keys()
    made = ben.push_subscription_set("https://push.example.org/abc", public, mention_events=True, policy="followed")
    assert made.alerts.mention and not made.alerts.favourite and made.endpoint == "https://push.example.org/abc" and made.server_key
    assert ben.push_subscription().id == made.id
    assert ben.push_subscription_update(favourite_events=True, mention_events=True).alerts.favourite
    ben.push_subscription_delete()
    with pytest.raises(MastodonNotFoundError):
        ben.push_subscription()


class Heard(StreamListener):
    """Keeps what a stream tells."""

    def __init__(self) -> None:
        self.told: queue.Queue[tuple[str, Any]] = queue.Queue()

    def on_update(self, status: Any) -> None:
        self.told.put(("update", status))

    def on_status_update(self, status: Any) -> None:
        self.told.put(("status.update", status))

    def on_delete(self, status_id: Any) -> None:
        self.told.put(("delete", status_id))

    def on_notification(self, notification: Any) -> None:
        self.told.put(("notification", notification))

    def on_conversation(self, conversation: Any) -> None:
        self.told.put(("conversation", conversation))

    def on_filters_changed(self) -> None:
        self.told.put(("filters_changed", None))

    def wait(self, kind: str) -> Any:
        """The next event of a kind, half a minute at most."""
        while True:
            name, value = self.told.get(timeout=45)
            if name == kind:
                return value


def test_streams_and_their_end(server: Server, ben: Mastodon, carla: Mastodon, until: Ask) -> None:
    client = Mastodon(client_id=ben.client_id, client_secret=ben.client_secret, api_base_url=server.address)
    client.log_in(server.ben[1], PASSWORD, scopes=SCOPES, allow_http=True)
    client.account_follow(carla.me())
    made = client.list_create("Streamed")
    client.list_accounts_add(made, [carla.me()])
    opened: list[tuple[Heard, Any]] = []

    def listen(start: Callable[..., Any], *arguments: Any) -> Heard:
        heard = Heard()
        opened.append((heard, start(*arguments, listener=heard, run_async=True)))
        return heard

    user, everybody, local = listen(client.stream_user), listen(client.stream_public), listen(client.stream_local)
    tag, of_list, direct = listen(client.stream_hashtag, "streamed"), listen(client.stream_list, made), listen(client.stream_direct)
    notified = listen(client.stream_user_notifications)
    until(lambda: all(handle.is_receiving() for _, handle in opened))
    post = carla.status_post("Live from the lake #streamed @ben.ito")
    for heard in (user, everybody, local, tag, of_list):
        assert heard.wait("update").id == post.id
    assert user.wait("notification").status.id == post.id and notified.wait("notification").status.id == post.id
    carla.status_update(post, "Live from the river #streamed @ben.ito")
    assert "river" in user.wait("status.update").content
    secret = carla.status_post("@ben.ito only you", visibility="direct")
    assert direct.wait("conversation").last_status.id == secret.id
    client.create_filter_v2(title="Live", context=["home"], filter_action="warn", keywords_attributes=[{"keyword": "nothing"}])
    user.wait("filters_changed")
    passed = carla.status_reblog(ben.status_post("To be passed on"))
    until(lambda: user.wait("update").id == passed.id)
    carla.status_delete(post)
    assert user.wait("delete") == post.id
    # The token's end is that of its streams.
    client.revoke_access_token(allow_http=True)
    until(lambda: not any(handle.is_receiving() for _, handle in opened))


def test_one_websocket_with_several_streams(ben: Mastodon, carla: Mastodon, until: Ask) -> None:
    ben.account_follow(carla.me())
    heard = Heard()
    connection = ben.stream_open_websocket(heard)
    try:
        connection.subscribe("user")
        connection.subscribe("hashtag", tag="socket")
        until(connection.is_alive)
        post = until(lambda: _told(heard, carla))
        assert "socket" in post.content
    finally:
        connection.close()


def _told(heard: Heard, carla: Mastodon) -> Any:
    """What comes of one more post: a subscription takes a moment, so the first may be missed."""
    carla.status_post("By socket #socket")
    try:
        name, value = heard.told.get(timeout=1)
    except queue.Empty:
        return None
    return value if name == "update" else None
