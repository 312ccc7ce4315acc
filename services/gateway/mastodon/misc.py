"""What is left: emoji, preferences, announcements, reports, and what a company network answers politely."""
from __future__ import annotations

from typing import Any, Final

from watercooler.feed.v1 import announcement_events_pb2 as announcement_events
from watercooler.feed.v1 import announcement_service_pb2 as announcements
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import moderation_events_pb2 as moderation_events
from watercooler.feed.v1 import moderation_service_pb2 as moderation
from watercooler.feed.v1 import reading_service_pb2 as reading

from . import entities
from .accounts import account, find
from .entities import Entity
from .errors import invalid, not_found
from .instance import rules_of
from .router import Call, route
from .search import trending_statuses

SHOWN: Final = 20
REPORTED: Final = 9
WORDS: Final = 1_000
_CATEGORIES: Final = {
    "spam": moderation_events.REPORT_CATEGORY_SPAM, "legal": moderation_events.REPORT_CATEGORY_CONFIDENTIAL,
    "violation": moderation_events.REPORT_CATEGORY_RULES, "other": moderation_events.REPORT_CATEGORY_OTHER,
}


@route("GET", "/api/v1/custom_emojis", "read:statuses")
async def custom_emojis(call: Call) -> Any:
    """The organisation's own emoji."""
    found = await call.clients.reading.ListEmoji(reading.ListEmojiRequest())
    return [entities.emoji(each, call.site) for each in found.emojis]


@route("GET", "/api/v1/preferences", "read:accounts")
async def preferences(call: Call) -> Any:
    """What a composer starts with."""
    languages = call.me.person.profile.languages
    return {
        "posting:default:visibility": "public", "posting:default:sensitive": False,
        "posting:default:language": languages[0] if languages else None, "posting:default:quote_policy": "public",
        "reading:expand:media": "default", "reading:expand:spoilers": False, "reading:autoplay:gifs": False,
    }


# --- announcements ---------------------------------------------------------------------------------------------------


def _announcement(given: announcements.Announcement, call: Call) -> Entity:
    changed = given.change_time if given.HasField("change_time") else given.publish_time
    title = f"**{given.title}**\n\n" if given.title else ""
    post: Entity = {"id": given.announcement_id, "url": f"{call.site.base}/posts/{given.announcement_id}"}
    return {
        "id": given.announcement_id, "content": entities.rendered(title + given.body, call.site), "starts_at": None,
        "ends_at": entities.moment(given.deadline) if given.HasField("deadline") else None, "all_day": False,
        "published_at": entities.moment(given.publish_time), "updated_at": entities.moment(changed), "published": True,
        "read": not given.pending, "mentions": [], "statuses": [post], "tags": [], "emojis": [], "reactions": [],
    }


@route("GET", "/api/v1/announcements", "read:accounts")
async def list_announcements(call: Call) -> Any:
    """Announcements for one, newest first; with `with_dismissed` also those that wait for nothing more."""
    everything = call.params.flag("with_dismissed")
    found = await call.clients.announcements.ListAnnouncements(
        announcements.ListAnnouncementsRequest(
            page_size=SHOWN,
            filter=announcements.ANNOUNCEMENT_FILTER_UNSPECIFIED if everything else announcements.ANNOUNCEMENT_FILTER_PENDING,
        )
    )
    return [_announcement(each, call) for each in found.announcements if each.addressed and not each.withdrawn and not each.erased]


@route("POST", "/api/v1/announcements/:id/dismiss", "write:accounts")
async def dismiss_announcement(call: Call) -> Any:
    """Opened, and wanted no more. To confirm something takes the page, where one has read what one confirms."""
    announcement_id = call.id()
    given = await call.clients.announcements.GetAnnouncement(
        announcements.GetAnnouncementRequest(announcement_id=announcement_id)
    )
    if given.urgency != announcement_events.ANNOUNCEMENT_URGENCY_CONFIRM:
        await call.clients.announcements.DismissAnnouncement(
            announcements.DismissAnnouncementRequest(announcement_id=announcement_id, request_id=call.request_id)
        )
    return {}


@route("PUT", "/api/v1/announcements/:id/reactions/:emoji", "write:favourites")
async def react_to_announcement(call: Call) -> Any:
    """A reaction on its post."""
    await call.clients.feed.AddReaction(feed.AddReactionRequest(post_id=call.id(), emoji=call.word(1, 40), request_id=call.request_id))
    return {}


@route("DELETE", "/api/v1/announcements/:id/reactions/:emoji", "write:favourites")
async def unreact_to_announcement(call: Call) -> Any:
    """Taken back."""
    await call.clients.feed.RemoveReaction(
        feed.RemoveReactionRequest(post_id=call.id(), emoji=call.word(1, 40), request_id=call.request_id)
    )
    return {}


# --- reports ---------------------------------------------------------------------------------------------------------


@route("POST", "/api/v1/reports", "write:reports")
async def report(call: Call) -> Any:
    """Put posts, or else an account, before those who moderate. Nothing is forwarded anywhere."""
    params = call.params
    account_id = params.text("account_id", most=60)
    if len(account_id) != 36:
        raise not_found()
    target = await find(call, account_id)
    posts = [each for each in params.texts("status_ids", 200) if len(each) == 36][:REPORTED]
    category = params.text("category", "violation" if "rule_ids" in params else "other", 20)
    if category not in _CATEGORIES:
        raise invalid(f"category is {', '.join(_CATEGORIES)}.", "category")
    comment = params.text("comment", most=WORDS)
    rule_ids = params.texts("rule_ids", 50)
    words = comment
    if rule_ids:
        named = [each["text"] for each in await rules_of(call) if each["id"] in rule_ids]
        words = "\n".join([comment, *named]).strip()[:WORDS]
    subjects = [
        moderation.ReportedSubject(subject=moderation_events.CASE_SUBJECT_POST, subject_id=each) for each in posts
    ]
    if not subjects:
        kind = moderation_events.CASE_SUBJECT_COMMUNITY if isinstance(target, feed.Community) else moderation_events.CASE_SUBJECT_PERSON
        subjects.append(moderation.ReportedSubject(subject=kind, subject_id=account_id))
    filed = await call.clients.moderation.FileReport(
        moderation.FileReportRequest(subjects=subjects, category=_CATEGORIES[category], words=words, request_id=call.request_id)
    )
    return {
        "id": filed.report_id, "action_taken": filed.decided, "action_taken_at": None, "category": category, "comment": comment,
        "forwarded": False, "created_at": entities.moment(filed.report_time), "status_ids": posts, "rule_ids": rule_ids,
        "rules_ids": rule_ids, "collection_ids": [], "target_account": await account(call, target),
    }


# --- politely --------------------------------------------------------------------------------------------------------


@route("GET", "/api/v1/suggestions", "read:accounts")
@route("GET", "/api/v2/suggestions", "read:accounts")
@route("GET", "/api/v1/endorsements", "read:accounts")
@route("GET", "/api/v1/featured_tags", "read:accounts")
@route("GET", "/api/v1/featured_tags/suggestions", "read:accounts")
@route("GET", "/api/v1/domain_blocks", "read:blocks")
@route("GET", "/api/v1/directory", "read:accounts")
@route("GET", "/api/v1/timelines", "read:statuses")
async def nothing(call: Call) -> Any:
    """Nothing of the kind is kept."""
    return []


@route("GET", "/api/v1/collections", "read:accounts")
async def no_collections(call: Call) -> Any:
    """There are no collections of accounts."""
    return {"collections": []}


@route("GET", "/api/v1/collections/:id", "read:accounts")
@route("GET", "/api/v1/annual_reports/:year", "read:accounts")
@route("DELETE", "/api/v1/suggestions/:id", "write:accounts")
@route("DELETE", "/api/v1/featured_tags/:id", "write:accounts")
async def none_such(call: Call) -> Any:
    """There is none, of whatever id."""
    raise not_found()


@route("GET", "/api/v1/annual_reports", "read:accounts")
async def annual_reports(call: Call) -> Any:
    """Nobody's year is summed up."""
    return {"annual_reports": [], "accounts": [], "statuses": []}


@route("POST", "/api/v1/featured_tags", "write:accounts")
async def feature(call: Call) -> Any:
    """Nobody puts tags on their page."""
    raise invalid("Tags are not put on pages here: follow the tag instead.", "name")


@route("POST", "/api/v1/domain_blocks", "write:blocks")
@route("DELETE", "/api/v1/domain_blocks", "write:blocks")
async def block_domain(call: Call) -> Any:
    """There is only this one network, so nothing changes."""
    return {}


@route("GET", "/api/v2/discover/posts/trending", "read:statuses")
async def discover(call: Call) -> Any:
    """What some clients ask of another server: the same as trends/statuses."""
    return await trending_statuses(call)


@route("POST", "/api/v1/accounts", "")
async def register(call: Call) -> Any:
    """Accounts come from the directory and by invitation."""
    raise invalid("Accounts are not made by programs: ask an administrator for an invitation.")


@route("POST", "/api/v1/emails/confirmations", "")
async def confirm(call: Call) -> Any:
    """Addresses come from the directory."""
    raise invalid("Mail addresses come from the directory: there is nothing to confirm.")
