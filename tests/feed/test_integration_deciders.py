"""What the streams of webhooks, bots, incoming hooks and commands decide; how requests are signed; who is told."""
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.eventstore.model import InvalidArgument
from libs.testing.spec import Spec
from services.feed.commands import integrations as c
from services.feed.deciders import bot, incoming, slash_command, webhook
from services.feed.signing import headers_of
from services.feed.webhooks import PAUSES, check_target
from watercooler.feed.v1 import integration_events_pb2 as e

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TYPE, OTHER = "watercooler.feed.v1.PostPublished", "watercooler.feed.v1.PostDeleted"
CREATE = c.CreateWebhook(
    webhook_id="w", name=" Ticker ", url="https://x.example/", community_id="", event_types=[OTHER, TYPE], includes_restricted=True,
    secret="s", creator_id="p", now=NOW,
)


def changed(command: Any, **fields: Any) -> Any:
    return type(command)(**{name: getattr(command, name) for name in command.__slots__} | fields)


def created() -> e.WebhookCreated:
    made = e.WebhookCreated(
        webhook_id="w", name="Ticker", url="https://x.example/", event_types=[TYPE, OTHER], includes_restricted=True, secret="s",
        creator_id="p",
    )
    made.create_time.FromDatetime(NOW)
    return made


def test_a_webhook() -> None:
    off = e.WebhookDisabled(webhook_id="w", reason="Gone.", creator_id=created().creator_id, community_id=created().community_id)
    off.disable_time.FromDatetime(NOW)
    disable = c.DisableWebhook(webhook_id="w", reason="Gone.", now=NOW)
    Spec(webhook).given().when(CREATE).then(created())
    Spec(webhook).given(created()).when(CREATE).then_nothing()
    Spec(webhook).given(created()).when(disable).then(off)
    Spec(webhook).given(created(), off).when(disable).then_nothing()
    Spec(webhook).given(created(), off).when(c.EnableWebhook(webhook_id="w")).then(e.WebhookEnabled(webhook_id="w"))
    Spec(webhook).given(created()).when(c.EnableWebhook(webhook_id="w")).then_nothing()
    Spec(webhook).given(created()).when(c.DeleteWebhook(webhook_id="w")).then(e.WebhookDeleted(webhook_id="w"))
    gone = (created(), e.WebhookDeleted(webhook_id="w"))
    for command in (disable, c.DeleteWebhook(webhook_id="w"), c.EnableWebhook(webhook_id="w")):
        Spec(webhook).given(*gone).when(command).then_rejected("no such webhook")
    change = c.ChangeWebhook(webhook_id="w", name="Ticker", url="https://x.example/", event_types=[TYPE, OTHER], includes_restricted=True)
    Spec(webhook).given(created()).when(change).then_nothing()
    Spec(webhook).given(created()).when(changed(change, name="Other")).then(
        e.WebhookChanged(webhook_id="w", name="Other", url="https://x.example/", event_types=[TYPE, OTHER], includes_restricted=True)
    )
    person = "watercooler.identity.v1.PersonAdded"
    for wrong in ({"name": ""}, {"url": ""}, {"event_types": []}, {"event_types": ["x"]}, {"event_types": [person], "community_id": "k"}):
        Spec(webhook).given().when(changed(CREATE, **wrong)).then_rejected("")


def test_a_bot_an_incoming_hook_and_a_command() -> None:
    make = c.CreateBot(bot_id="b", name="Weather", description="", community_id="", owner_id="p", now=NOW)
    made = e.BotCreated(bot_id="b", name="Weather", owner_id="p")
    made.create_time.FromDatetime(NOW)
    Spec(bot).given().when(make).then(made)
    Spec(bot).given(made).when(make).then_nothing()
    Spec(bot).given(made, e.BotDeleted(bot_id="b")).when(c.DeleteBot(bot_id="b")).then_rejected("no such bot")
    Spec(bot).given().when(changed(make, name=" ")).then_rejected("name")
    hook = c.CreateIncomingHook(
        hook_id="h", name="Build", community_id="k", person_id="", bot_id="b", secret_hash="x", creator_id="p", now=NOW
    )
    hooked = e.IncomingHookCreated(hook_id="h", name="Build", community_id="k", bot_id="b", secret_hash="x", creator_id="p")
    hooked.create_time.FromDatetime(NOW)
    Spec(incoming).given().when(hook).then(hooked)
    Spec(incoming).given(hooked).when(c.RotateIncomingHook(hook_id="h", secret_hash="y")).then(
        e.IncomingHookSecretRotated(hook_id="h", secret_hash="y")
    )
    Spec(incoming).given().when(c.DeleteIncomingHook(hook_id="h")).then_rejected("no such hook")
    for wrong in ({"person_id": "p"}, {"community_id": ""}, {"name": ""}):
        Spec(incoming).given().when(changed(hook, **wrong)).then_rejected("")
    command = c.RegisterSlashCommand(
        command_id="s", bot_id="b", name="weather", description="x", hint="", url="https://x.example/", community_id="", secret="z",
        creator_id="p", now=NOW,
    )
    for wrong in ({"name": "Weather"}, {"name": "/x"}, {"name": ""}, {"description": " "}, {"hint": "x" * 101}):
        Spec(slash_command).given().when(changed(command, **wrong)).then_rejected("")
    Spec(slash_command).given().when(c.DeleteSlashCommand(command_id="s")).then_rejected("no such command")


def test_the_signature_is_the_one_of_the_specification() -> None:
    # The example of https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
    told = headers_of(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert told["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (told["webhook-id"], told["webhook-timestamp"]) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330")


def test_the_pauses_last_three_days_and_grow() -> None:
    assert 71 * 3_600 < sum(each.total_seconds() for each in PAUSES) < 72 * 3_600
    assert list(PAUSES) == sorted(PAUSES)


@pytest.mark.parametrize("url", ["http://example.com/", "https://127.0.0.1/", "https://printer/", "ws://example.com/", "nonsense"])
def test_targets_are_public_and_encrypted(url: str) -> None:
    with pytest.raises(InvalidArgument):
        check_target(url, frozenset())
    check_target("https://example.com/hook", frozenset())
    check_target("http://printer:8080/", frozenset({"printer"}))
