"""Samples of the pages of apps, webhooks, bots and commands."""
# ruff: noqa: E501 - written content, a paragraph a line.
from __future__ import annotations

from collections.abc import Callable, Iterator

from services.gateway import views as v
from services.gateway import views_integrations as i
from tests.browser import samples as s

TYPES = [
    v.Option(value="watercooler.feed.v1.PostPublished", label="A post or reply was written", is_chosen=True),
    v.Option(value="watercooler.identity.v1.PersonAdded", label="A person was added"),
]
HOOK = i.WebhookRow(
    id=s._id(951), name="Ticker in the canteen", url="https://ticker.example.com/hooks/3f6d1f9c-7a5b-4d0e-8e0a-very-long-path", waiting_count=3,
    dead_count=1,
)
OFF = i.WebhookRow(
    id=s._id(952), name="Archive", url="https://archive.example.com/in", is_disabled=True, reason="Nothing could be delivered for 5 days."
)
BOT = i.BotRow(id=s._id(953), name="Weather", description="Says what it is like outside.")
ALL = i.Integrations(
    action_url="/admin/integrations", webhooks=[HOOK, OFF], bots=[BOT], event_types=TYPES, can_restrict=True,
    form=v.Form(values={"name": "Ticker", "url": "http://10.0.0.1/"}, errors={"url": "10.0.0.1 is not a public address."}), refused="webhook",
)
OURS = i.Integrations(
    action_url=f"/communities/{s.COATINGS.id}/integrations", bots=[BOT], hooks=[i.HookRow(id=s._id(954), name="Build")], event_types=TYPES[:1],
    takes_hooks=True, secret="https://water.example.org/api/v1/integrations/in/0197/sample", secret_label="Address to post to",
)


def pages() -> Iterator[tuple[str, Callable[[], v.Page]]]:
    """Each page's name with what makes its view."""
    yield (
        "oauth-consent",
        lambda: i.OAuthConsentPage(
            shell=s.shell("/oauth/authorize"), app_name="Toucan for desktops and very large screens", website="https://toucan.example",
            scopes=["Read everything you can read", "Write, react, join, follow and change your profile as you", "Receive your notifications"],
            hidden={"client_id": "0197", "state": "x"}, target="https://toucan.example/oauth/callback?" + "long" * 30,
        ),
    )
    yield (
        "oauth-sign-in-again",
        lambda: i.OAuthConsentPage(
            shell=s.shell("/oauth/authorize"), app_name="Toucan", scopes=[], hidden={"client_id": "0197"}, target="toucan://oauth", again=True
        ),
    )
    yield "oauth-code", lambda: i.OAuthCodePage(shell=s.shell("/oauth/authorize"), app_name="toot", code="0197" + "q7" * 35)
    yield "oauth-problem", lambda: i.OAuthProblemPage(shell=s.shell("/oauth/authorize"), text="There is no such app here: it has to register first.")
    yield (
        "settings-apps",
        lambda: i.SettingsAppsPage(
            shell=s.shell("/settings/apps"),
            apps=[
                i.AuthorizedAppRow(
                    id=s._id(961), name="Toucan", website="https://toucan.example", since=s._ago(days=9), last_use_date=s._ago(days=1),
                    scopes=["Read everything you can read", "Write, react, join, follow and change your profile as you"],
                ),
                i.AuthorizedAppRow(id=s._id(962), name="toot", website="", since=s._ago(days=90), scopes=["Read posts"]),
            ],
            hooks=[i.HookRow(id=s._id(963), name="Bench sensor")],
        ),
    )
    yield "settings-apps-none", lambda: i.SettingsAppsPage(shell=s.shell("/settings/apps"), apps=[], secret="https://water.example.org/in/x/y")
    yield "admin-integrations", lambda: i.AdminIntegrationsPage(shell=s.shell("/admin/integrations"), all=ALL)
    yield "community-integrations", lambda: i.CommunityIntegrationsPage(shell=s.shell("/communities/x"), community=s.COMMUNITY, all=OURS)
    yield (
        "webhook",
        lambda: i.WebhookPage(
            shell=s.shell(f"/integrations/webhooks/{HOOK.id}"), webhook=HOOK, back_url="/admin/integrations", event_types=TYPES,
            form=v.Form(values={"name": HOOK.name, "url": HOOK.url}), secret="whsec_c2FtcGxlc2FtcGxlc2FtcGxl", can_restrict=True,
            failing_since=s._ago(hours=5), next_url="?page=2",
            deliveries=[
                i.DeliveryRow(
                    id=s._id(971), event_type="PostPublished", state="waiting", tries=2, time=s._ago(hours=5), next_time=s._ago(hours=-1),
                    status=503, answer="<html>Service unavailable</html>" * 5,
                ),
                i.DeliveryRow(id=s._id(972), event_type="ping", state="delivered", tries=1, time=s._ago(hours=6), status=204),
                i.DeliveryRow(id=s._id(973), event_type="PostEdited", state="dead", tries=10, time=s._ago(days=4), answer="cannot be reached."),
            ],
        ),
    )
    yield "webhook-off", lambda: i.WebhookPage(
        shell=s.shell(f"/integrations/webhooks/{OFF.id}"), webhook=OFF, back_url="/admin/integrations", event_types=TYPES, form=v.Form()
    )
    yield (
        "bot",
        lambda: i.BotPage(
            shell=s.shell(f"/integrations/bots/{BOT.id}"), bot=BOT, back_url="/admin/integrations",
            tokens=[v.TokenView(id=s._id(981), name="host", scopes=["read", "write"], issue_time=s._ago(days=2))],
            commands=[i.CommandRow(
                id=s._id(982), name="weather", hint="<place>", description="What it is like outside", url="https://weather.example/ask"
            )],
            secret="wct_sample", secret_label="Access token of the bot",
            form=v.Form(values={"name": "Weather!"}, errors={"name": "A command's name has small letters."}), refused="command",
        ),
    )
    yield "command-answer", lambda: i.CommandAnswerPage(
        shell=s.shell("/posts"), bot_name="Weather", command="weather", text_html="<p>Rain until <strong>four</strong>.</p>", back_url="/"
    )
