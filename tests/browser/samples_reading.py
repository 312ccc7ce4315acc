"""Samples of the pages by which people shape what they read, and of drafts and custom emoji."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import msgspec

from services.gateway import views as v
from services.gateway import views_reading as r
from tests.browser import samples as s

MUTED = r.BondView(person=s.GUS, is_muted=True, is_silenced=True, mute_end=s.NOW + timedelta(days=7), note="Back from the fair on Monday.")
FOREVER = r.BondView(person=s.OMAR, is_muted=True)
BLOCKED = r.BondView(person=s.IVO, is_blocked=True)
CONTEXTS = [
    v.Option(value="home", label="Home and lists", is_chosen=True), v.Option(value="public", label="Company, communities and tags"),
    v.Option(value="thread", label="Conversations"),
]
FILTER = r.FilterView(
    id=s._id(701), title="Reorganisation", keywords=["reorg", "Umstrukturierung", "組織変更"], contexts=["home", "public"],
    end=s.NOW + timedelta(days=3),
)
TEAM = r.ListView(id=s._id(711), title="Coatings, the people who know", person_count=3)
ALONE = r.ListView(id=s._id(712), title="لوحة القيادة", is_exclusive=True, person_count=1)
DRAFT = r.DraftView(
    id=s._id(721), text="The figures for Thursday, before they go round.", save_time=s._ago(minutes=3), has_picture=True, has_poll=True,
    audience=v.AudienceView(kind="community", name="Coatings and films", url="/communities/1"),
)
LATER = r.DraftView(id=s._id(722), text="Guten Morgen, Kassel!", save_time=s._ago(hours=2), publish_time=s.NOW + timedelta(hours=16))
FAILED = r.DraftView(
    id=s._id(723), text="", save_time=s._ago(days=1), failure="only members write in a community: join it first", is_reply=True
)
COMPOSE = msgspec.structs.replace(
    s.COMPOSE, action=DRAFT.url, draft_id=DRAFT.id, draft_etag="3", draft_images=["/static/none.png"],
    form=v.Form(values={"body": DRAFT.text}),
)
FILTERED = msgspec.structs.replace(s.GERMAN, filtered=["Reorganisation"])


def pages() -> Iterator[tuple[str, Callable[[], v.Page]]]:
    """Each page's name with what makes its view."""
    yield "person-reading", lambda: r.BondPage(
        shell=s.shell("/people/1/reading"), bond=MUTED, lists=[v.Option(value=TEAM.id, label=TEAM.title, is_chosen=True)]
    )
    yield "person-reading-blocked", lambda: r.BondPage(shell=s.shell("/people/1/reading"), bond=BLOCKED, may_block=False)
    yield "person-reading-fresh", lambda: r.BondPage(
        shell=s.shell("/people/1/reading"), bond=r.BondView(person=s.LENA),
        form=v.Form(errors={"note": "A note has at most 2,000 characters."}),
    )
    yield "settings-reading", lambda: r.SettingsReadingPage(
        shell=s.shell("/settings/reading"), muted=[MUTED, FOREVER], blocked=[BLOCKED], is_cut=True
    )
    yield "settings-reading-none", lambda: r.SettingsReadingPage(shell=s.shell("/settings/reading"), may_block=False)
    yield "settings-filters", lambda: r.SettingsFiltersPage(
        shell=s.shell("/settings/filters"), filters=[FILTER, msgspec.structs.replace(FILTER, id=s._id(702), hides=True, has_ended=True)],
        edited=FILTER, contexts=CONTEXTS, form=v.Form(values={"keywords": "reorg", "days": "keep"}, errors={"contexts": "Say where."}),
    )
    yield "settings-filters-none", lambda: r.SettingsFiltersPage(shell=s.shell("/settings/filters"), contexts=CONTEXTS)
    yield "lists", lambda: r.ListsPage(shell=s.shell("/lists"), lists=[TEAM, ALONE])
    yield "lists-none", lambda: r.ListsPage(shell=s.shell("/lists"), form=v.Form(errors={"title": "A list has a title."}))
    yield "list", lambda: r.ListPage(
        shell=s.shell(TEAM.url), shown=TEAM, page=v.PostPage(posts=[FILTERED, s.QUESTION]), people=[s.NADIA, s.KENJI, s.GUS],
        form=v.Form(values={"title": TEAM.title, "add": "@nobody"}, errors={"add": "Nobody is found by this name: @nobody."}),
    )
    yield "list-empty", lambda: r.ListPage(shell=s.shell(ALONE.url), shown=ALONE, page=s.NONE)
    yield "group", lambda: r.GroupPage(
        shell=s.shell("/groups/1"), name="Field service EMEA", description="Everybody who visits customers.", people=[s.OMAR, s.TESS],
        next_url="/groups/1?page=a",
    )
    yield "group-empty", lambda: r.GroupPage(shell=s.shell("/groups/1"), name="Nobody yet")
    yield "admin-emoji", lambda: r.AdminEmojiPage(
        shell=s.shell("/admin/emoji"), form=v.Form(errors={"image": "An emoji is a PNG, GIF or WebP picture of at most 256 KiB."}),
        emoji=[
            r.EmojiView(shortcode="party", image_url="/static/none.png", category="Fun"),
            r.EmojiView(shortcode="a_very_long_shortcode_of_forty_characters", image_url="/static/none.png"),
        ],
    )
    yield "admin-emoji-none", lambda: r.AdminEmojiPage(shell=s.shell("/admin/emoji"))
    yield "drafts", lambda: r.DraftsPage(shell=s.shell("/drafts"), drafts=[DRAFT, FAILED], next_url="/drafts?page=a")
    yield "drafts-none", lambda: r.DraftsPage(shell=s.shell("/drafts"))
    yield "drafts-scheduled", lambda: r.DraftsPage(shell=s.shell("/drafts?tab=scheduled"), tab="scheduled", drafts=[LATER])
    yield "drafts-scheduled-none", lambda: r.DraftsPage(shell=s.shell("/drafts?tab=scheduled"), tab="scheduled")
    yield "draft", lambda: r.DraftPage(
        shell=s.shell(DRAFT.url), draft=msgspec.structs.replace(LATER, failure="the community is archived"), compose=COMPOSE,
        zone="Europe/Berlin",
        form=v.Form(values={"time": "2026-11-24T07:00"}, errors={"time": "Schedule a post for a time from 5 minutes to 2 years ahead."}),
        earliest="2026-11-23T15:26", latest="2028-11-23T15:20",
    )
