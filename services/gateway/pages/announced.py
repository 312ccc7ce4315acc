"""What other pages show of announcements: the strip above a post's text, the banner at home, and that a page was opened."""
from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from libs.rpc.errors import RpcError
from libs.text import markdown
from watercooler.feed.v1 import announcement_events_pb2 as events
from watercooler.feed.v1 import announcement_service_pb2 as api
from watercooler.feed.v1 import feed_service_pb2 as feed

from ..http import AnyRequest, clients, current_person
from ..neighbours import spared
from ..parties import is_away
from ..views import AnnouncementStrip, PostView, Shell
from ..views_announcements import AnnouncementView
from . import convert

BANNERS = 3
EXCERPT_CHARACTERS = 220


def view(found: api.Announcement, reader_id: str) -> AnnouncementView:
    """An announcement, for its pages."""
    corrected = found.right_since > 1
    return AnnouncementView(
        id=found.announcement_id, title=found.title, author=convert.author(found.author),
        audience=convert.audience(found.audience, found.audience_name, {}),
        publish_time=convert.optional_moment(found, "publish_time"), body_html=convert.rendered(found.body),
        excerpt=markdown.excerpt(found.body, EXCERPT_CHARACTERS), language=found.language, version=found.version,
        change_time=convert.optional_moment(found, "change_time"), must_confirm=found.urgency == events.ANNOUNCEMENT_URGENCY_CONFIRM,
        deadline=convert.optional_moment(found, "deadline"), what_was_wrong=found.what_was_wrong if corrected else "",
        is_corrected=corrected, is_confirmed=found.my_confirmed_version >= found.right_since, is_pending=found.pending,
        is_misinformed=found.misinformed, is_withdrawn=found.withdrawn, is_preparing=found.preparing, is_erased=found.erased,
        is_own=found.author.person_id == reader_id, can_edit=found.can_edit, can_see_reach=found.can_see_reach,
        can_see_reports=found.can_see_reports, audience_count=found.audience_count,
    )


async def with_strips(request: AnyRequest, posts: Sequence[feed.Post], shown: list[PostView]) -> list[PostView]:
    """The posts with what belongs to those among them that are announcements: one call where there are any."""
    ids = [each.announcement_id for each in posts if each.announcement_id and not each.deleted and not each.erased]
    if not ids:
        return shown
    asked = api.BatchGetAnnouncementsRequest(announcement_ids=ids)
    answer = await spared(request, "feed", lambda: clients(request).announcements.BatchGetAnnouncements(asked))
    if answer is None:
        return shown
    me = current_person(request).person_id
    strips = {each.announcement_id: _strip(each, me) for each in answer.announcements}
    return [replace(each, announcement=strips[each.id]) if each.id in strips else each for each in shown]


def _strip(found: api.Announcement, reader_id: str) -> AnnouncementStrip:
    confirms = found.urgency == events.ANNOUNCEMENT_URGENCY_CONFIRM
    own = found.author.person_id == reader_id
    return AnnouncementStrip(
        id=found.announcement_id, version=found.version, must_confirm=confirms, deadline=convert.optional_moment(found, "deadline"),
        is_corrected=found.right_since > 1, is_confirmed=found.my_confirmed_version >= found.right_since,
        is_asked=confirms and found.addressed and found.my_confirmed_version < found.right_since and not own,
        is_own=own, is_counted=not own and found.my_shown_version < found.version,
    )


async def pending(request: AnyRequest, around: Shell) -> list[AnnouncementView]:
    """What waits for the reader, for the head of their home page: a call where the rail says that there is something."""
    if not any(entry.key == "announcements" and entry.count for entry in around.nav):
        return []
    asked = api.ListAnnouncementsRequest(filter=api.ANNOUNCEMENT_FILTER_PENDING, page_size=BANNERS)
    answer = await spared(request, "feed", lambda: clients(request).announcements.ListAnnouncements(asked))
    me = current_person(request).person_id
    return [view(each, me) for each in answer.announcements] if answer is not None else []


async def note_opened(request: AnyRequest, announcement_id: str, version: int = 0) -> None:
    """Record that the reader opened the page of an announcement; where feed is away the page goes on without."""
    record = api.ReceiptRecord(announcement_id=announcement_id, fact=api.REACH_FACT_OPENED, version=version)
    try:
        await clients(request).announcements.RecordReceipts(api.RecordReceiptsRequest(receipts=[record]))
    except RpcError as error:
        if not is_away(error) and "write" in current_person(request).scopes:
            raise
