"""Announcements as a caller may see them, their audiences, and their reach."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.db.database import Reader, Row, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import announcement_events_pb2 as events
from watercooler.feed.v1 import announcement_service_pb2 as api
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1.feed_service_pb2 import Author

from ..access import JOINS, VISIBLE, reader_keys
from .engagement import first_id

_MODERATOR = int(events_pb2.MEMBER_ROLE_MODERATOR)
_CONFIRM = int(events.ANNOUNCEMENT_URGENCY_CONFIRM)
OVERSEEING = frozenset({"communications", "administrator"})
PENDING_DAYS = 60
RECENT_DAYS = 28
_DAY_MICROS = 86_400_000_000

# Who may see how far an announcement reached: of one for a community those who run it, for nobody else may know what is said there.
_ENTITLED = f"""
    ((a.scope <> 'community' AND (a.author_id = :reader_id OR :oversees = 1))
     OR (m.role IS NOT NULL AND (a.author_id = :reader_id OR m.role >= {_MODERATOR})))
"""
_MISINFORMED = "(r.first_version > 0 AND r.first_version < a.right_since AND r.opened < a.right_since AND r.confirmed < a.right_since)"
_PENDING = f"""
    (r.counted = 1 AND a.urgency = {_CONFIRM} AND r.confirmed < a.right_since
     OR (r.counted = 1 OR r.first_version < a.right_since) AND a.urgency <> {_CONFIRM} AND r.dismissed < a.right_since
        AND r.opened < a.right_since AND r.confirmed < a.right_since
     OR {_MISINFORMED} AND r.dismissed < a.right_since)
"""
_FROM = f"""
    FROM announcements a
    JOIN announcement_versions v ON v.announcement_id = a.announcement_id AND v.version = a.version
    LEFT JOIN posts p ON p.post_id = a.announcement_id
    {JOINS}
    LEFT JOIN receipts r ON r.announcement_id = a.announcement_id AND r.person_id = :reader_id
"""
_SELECT = f"""
    SELECT a.announcement_id, a.author_id, a.scope, a.scope_id, a.urgency, a.deadline_time, a.remind_times, a.reminder_count,
           a.publish_time, a.version, a.right_since, a.audience_count, a.withdrawn, a.erased,
           v.title, v.body, v.language, v.version_time,
           (SELECT w.what_was_wrong FROM announcement_versions w
            WHERE w.announcement_id = a.announcement_id AND w.version = a.right_since) AS what_was_wrong,
           u.card AS author, c.name AS community_name, g.name AS group_name, h.display_name AS head_name,
           r.counted, r.shown, r.opened, r.confirmed,
           CASE WHEN r.person_id IS NOT NULL AND {_PENDING} THEN 1 ELSE 0 END AS pending,
           CASE WHEN r.person_id IS NOT NULL AND {_MISINFORMED} THEN 1 ELSE 0 END AS misinformed,
           CASE WHEN {_ENTITLED} THEN 1 ELSE 0 END AS entitled,
           CASE WHEN EXISTS (
               SELECT 1 FROM chart_lines k WHERE k.manager_id = :reader_id AND k.person_id <> :reader_id
           ) THEN 1 ELSE 0 END AS manages
    {_FROM}
    LEFT JOIN people u ON u.person_id = a.author_id
    LEFT JOIN directory_groups g ON a.scope = 'group' AND g.group_id = a.scope_id
    LEFT JOIN people h ON a.scope = 'chart' AND h.person_id = a.scope_id
"""
_SEEN = f"(a.publish_time > 0 AND p.hidden = 0 AND {VISIBLE} OR {_ENTITLED} OR :sees_all = 1)"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an announcement stands, for what the service does of its own accord; `scope` as in posts."""

    announcement_id: str
    author_id: str
    scope: str
    scope_id: str
    urgency: int
    version: int
    right_since: int
    published: bool
    withdrawn: bool
    erased: bool
    title: str
    body: str
    language: str
    audience_count: int
    audience_digest: str
    deadline_time: int
    publish_time: int


def keys(caller: Caller) -> dict[str, object]:
    """The parameters that the queries here need to know of their reader."""
    return {**reader_keys(caller), "oversees": int(bool(OVERSEEING & caller.roles) and not caller.is_guest)}


async def fetch_announcements(tx: Transaction, caller: Caller, ids: Sequence[str]) -> dict[str, api.Announcement]:
    """Those of the announcements that the caller may see, by id."""
    if not ids:
        return {}
    placeholders, params = in_list("i", ids)
    rows = await tx.fetch(f"{_SELECT} WHERE a.announcement_id IN ({placeholders}) AND {_SEEN}", **params, **keys(caller))
    return {row["announcement_id"]: _announcement(row, caller) for row in rows}


async def list_announcements(
    tx: Transaction, caller: Caller, condition: str, before: str, limit: int, now_micros: int
) -> list[api.Announcement]:
    """A page, newest first; `condition` is all, pending or mine."""
    match condition:
        case "pending":
            where = f"""
                WHERE r.person_id = :reader_id AND r.announcement_id >= :since AND r.announcement_id < :before AND a.publish_time > 0
                  AND a.withdrawn = 0 AND a.erased = 0 AND a.author_id <> :reader_id AND p.hidden = 0 AND {VISIBLE} AND {_PENDING}
            """
            params: dict[str, object] = {"since": first_id(now_micros - PENDING_DAYS * _DAY_MICROS)}
        case "mine":
            where, params = f"WHERE a.author_id = :reader_id AND a.announcement_id < :before AND {_SEEN}", {}
        case _:
            where, params = f"WHERE a.announcement_id < :before AND a.publish_time > 0 AND p.hidden = 0 AND {VISIBLE}", {}
    rows = await tx.fetch(
        f"{_SELECT} {where} ORDER BY a.announcement_id DESC LIMIT :limit", before=before, limit=limit, **params, **keys(caller)
    )
    return [_announcement(row, caller) for row in rows]


def _announcement(row: Row, caller: Caller) -> api.Announcement:
    author = Author.FromString(row["author"]) if row["author"] is not None else Author(person_id=row["author_id"])
    entitled, withdrawn = row["entitled"] == 1, row["withdrawn"] == 1
    found = api.Announcement(
        announcement_id=row["announcement_id"], author=author, title=row["title"], body=row["body"], language=row["language"],
        audience=audience_of(row["scope"], row["scope_id"]),
        audience_name=row["community_name"] or row["group_name"] or row["head_name"] or "", urgency=row["urgency"],
        version=row["version"], right_since=row["right_since"], what_was_wrong=row["what_was_wrong"] or "",
        audience_count=row["audience_count"], my_shown_version=row["shown"] or 0, my_opened_version=row["opened"] or 0,
        my_confirmed_version=row["confirmed"] or 0, addressed=row["counted"] == 1,
        pending=row["pending"] == 1 and not withdrawn and row["author_id"] != caller.person_id, misinformed=row["misinformed"] == 1,
        can_see_reach=entitled, can_see_reports=not entitled and row["manages"] == 1,
        can_edit=entitled and not withdrawn and not row["erased"] and row["publish_time"] > 0, reminder_count=row["reminder_count"],
        withdrawn=withdrawn, erased=row["erased"] == 1, preparing=row["publish_time"] == 0,
    )
    if row["deadline_time"]:
        found.deadline.FromMicroseconds(row["deadline_time"])
    for moment in row["remind_times"].split():
        found.remind_times.add().FromMicroseconds(int(moment))
    if row["publish_time"]:
        found.publish_time.FromMicroseconds(row["publish_time"])
    if row["version"] > 1:
        found.change_time.FromMicroseconds(row["version_time"])
    return found


def audience_of(scope: str, scope_id: str) -> Audience:
    """The audience that two columns stand for."""
    match scope:
        case "community":
            return Audience(community_id=scope_id)
        case "group":
            return Audience(group_id=scope_id)
        case "chart":
            return Audience(chart_of_id=scope_id)
        case _:
            audience = Audience()
            audience.everyone.SetInParent()
            return audience


async def standing(reader: Reader, announcement_id: str) -> Standing | None:
    """An announcement as the service itself sees it; None where there is none."""
    row = await reader.fetch_one(
        """
        SELECT a.announcement_id, a.author_id, a.scope, a.scope_id, a.urgency, a.version, a.right_since, a.publish_time, a.withdrawn,
               a.erased, a.audience_count, a.audience_digest, a.deadline_time, v.title, v.body, v.language
        FROM announcements a
        JOIN announcement_versions v ON v.announcement_id = a.announcement_id AND v.version = a.version
        WHERE a.announcement_id = :announcement_id
        """,
        announcement_id=announcement_id,
    )
    if row is None:
        return None
    return Standing(
        row["announcement_id"], row["author_id"], row["scope"], row["scope_id"], row["urgency"], row["version"], row["right_since"],
        row["publish_time"] > 0, row["withdrawn"] == 1, row["erased"] == 1, row["title"], row["body"], row["language"],
        row["audience_count"], row["audience_digest"], row["deadline_time"], row["publish_time"],
    )


async def fetch_versions(tx: Reader, announcement_id: str) -> list[api.AnnouncementVersion]:
    """Every version, newest first."""
    rows = await tx.fetch(
        """
        SELECT v.version, v.title, v.body, v.what_was_wrong, v.correction, v.version_time, v.text_digest, v.editor_id, u.card
        FROM announcement_versions v
        LEFT JOIN people u ON u.person_id = v.editor_id
        WHERE v.announcement_id = :announcement_id
        ORDER BY v.version DESC
        """,
        announcement_id=announcement_id,
    )
    found = []
    for row in rows:
        editor = Author.FromString(row["card"]) if row["card"] is not None else Author(person_id=row["editor_id"])
        version = api.AnnouncementVersion(
            version=row["version"], title=row["title"], body=row["body"], what_was_wrong=row["what_was_wrong"],
            correction=row["correction"] == 1, editor=editor, text_digest=row["text_digest"],
        )
        version.version_time.FromMicroseconds(row["version_time"])
        found.append(version)
    return found


# --- audiences --------------------------------------------------------------------------------------------------------

_HERE = "p.departed = 0 AND p.erased = 0 AND p.person_id <> :author_id"
_NO_GUEST = "(p.employee = 1 OR p.guest = 0)"
_AUDIENCES = {
    "everyone": f"FROM people p WHERE {_NO_GUEST} AND {_HERE}",
    "community": f"FROM members s JOIN people p ON p.person_id = s.person_id WHERE s.community_id = :scope_id AND {_HERE}",
    "group": f"""
        FROM group_members s JOIN people p ON p.person_id = s.person_id WHERE s.group_id = :scope_id AND {_NO_GUEST} AND {_HERE}
    """,
    "chart": f"""
        FROM chart_lines s JOIN people p ON p.person_id = s.person_id WHERE s.manager_id = :scope_id AND {_NO_GUEST} AND {_HERE}
    """,
}


async def count_audience(tx: Reader, scope: str, scope_id: str, author_id: str) -> int:
    """How many people an audience has now, the author not counted."""
    params = {"scope_id": scope_id} if scope != "everyone" else {}
    row = await tx.fetch_one(f"SELECT COUNT(*) AS people {_AUDIENCES[scope]}", author_id=author_id, **params)
    return int(row["people"]) if row else 0


async def audience_page(tx: Reader, scope: str, scope_id: str, author_id: str, after: str, limit: int) -> list[str]:
    """The next people of an audience past an id, in ascending order."""
    params = {"scope_id": scope_id} if scope != "everyone" else {}
    rows = await tx.fetch(
        f"SELECT p.person_id {_AUDIENCES[scope]} AND p.person_id > :after ORDER BY p.person_id LIMIT :limit",
        author_id=author_id, after=after, limit=limit, **params,
    )
    return [row["person_id"] for row in rows]


async def audience_name(tx: Reader, scope: str, scope_id: str) -> str | None:
    """The name of what an audience is of; empty for everyone, None where it does not exist."""
    if scope == "everyone":
        return ""
    if scope == "group":
        row = await tx.fetch_one("SELECT name FROM directory_groups WHERE group_id = :scope_id", scope_id=scope_id)
    elif scope == "chart":
        row = await tx.fetch_one(
            "SELECT display_name AS name FROM people WHERE person_id = :scope_id AND departed = 0 AND erased = 0", scope_id=scope_id
        )
    else:
        row = await tx.fetch_one("SELECT name FROM communities WHERE community_id = :scope_id", scope_id=scope_id)
    return str(row["name"]) if row is not None else None


# --- receipts and reach -----------------------------------------------------------------------------------------------


async def count_pending(tx: Reader, person_id: str, now_micros: int) -> int:
    """How many announcements wait for a person, 99 at most; one of an audience they have since left may be among them."""
    if not person_id:
        return 0
    row = await tx.fetch_one(
        f"""
        SELECT COUNT(*) AS pending
        FROM (
            SELECT 1 AS one
            FROM receipts r
            JOIN announcements a ON a.announcement_id = r.announcement_id
            WHERE r.person_id = :person_id AND r.announcement_id >= :since AND a.publish_time > 0 AND a.withdrawn = 0 AND a.erased = 0
              AND a.author_id <> :person_id AND {_PENDING}
            LIMIT 99
        ) AS waiting
        """,
        person_id=person_id, since=first_id(now_micros - PENDING_DAYS * _DAY_MICROS),
    )
    return int(row["pending"]) if row is not None else 0


async def my_receipts(tx: Reader, person_id: str, ids: Sequence[str]) -> Mapping[str, Row]:
    """What a person did with announcements so far, by announcement."""
    placeholders, params = in_list("i", ids)
    rows = await tx.fetch(
        f"""
        SELECT announcement_id, counted, shown, opened, confirmed, dismissed
        FROM receipts
        WHERE person_id = :person_id AND announcement_id IN ({placeholders})
        """,
        person_id=person_id, **params,
    )
    return {row["announcement_id"]: row for row in rows}


async def fetch_reach(tx: Reader, announcement_id: str) -> api.Reach:
    """The counts of an announcement that exists: a few rows, however large the audience."""
    row = await tx.fetch_one(
        """
        SELECT version, right_since, audience_count, reminder_count, urgency FROM announcements WHERE announcement_id = :announcement_id
        """,
        announcement_id=announcement_id,
    )
    assert row is not None
    right = row["right_since"]
    tallies = await tx.fetch(
        "SELECT fact, seen, version, people FROM reach_tallies WHERE announcement_id = :announcement_id", announcement_id=announcement_id
    )

    def total(fact: str, least: int = 0) -> int:
        return sum(one["people"] for one in tallies if one["fact"] == fact and one["version"] >= least)

    wrong = [one for one in tallies if one["fact"] == "informed" and 0 < one["seen"] < right]
    reach = api.Reach(
        announcement_id=announcement_id, version=row["version"], right_since=right, audience_count=row["audience_count"],
        shown_count=total("shown", right), opened_count=total("opened", right), confirmed_count=total("confirmed", right),
        ever_shown_count=total("shown"), ever_opened_count=total("opened"), ever_confirmed_count=total("confirmed"),
        wrong_count=sum(one["people"] for one in wrong), reminder_count=row["reminder_count"],
        misinformed_count=sum(one["people"] for one in wrong if one["version"] < right),
    )
    done = reach.confirmed_count if row["urgency"] == _CONFIRM else reach.opened_count
    reach.remindable_count = max(0, reach.audience_count - done)
    return reach


async def recent_reach(tx: Reader, now_micros: int) -> dict[str, int]:
    """Summed over the announcements of the last 28 days: audience, shown, opened, confirmed and misinformed."""
    since = first_id(now_micros - RECENT_DAYS * _DAY_MICROS)
    found = dict.fromkeys(("audience", "shown", "opened", "confirmed", "misinformed"), 0)
    whole = await tx.fetch_one(
        """
        SELECT COALESCE(SUM(audience_count), 0) AS people
        FROM announcements
        WHERE announcement_id >= :since AND publish_time > 0 AND withdrawn = 0
        """,
        since=since,
    )
    found["audience"] = int(whole["people"]) if whole is not None else 0
    rows = await tx.fetch(
        """
        SELECT t.fact, SUM(t.people) AS people
        FROM announcements a
        JOIN reach_tallies t ON t.announcement_id = a.announcement_id
        WHERE a.announcement_id >= :since AND a.withdrawn = 0
          AND (t.fact <> 'informed' AND t.version >= a.right_since
               OR t.fact = 'informed' AND t.seen > 0 AND t.seen < a.right_since AND t.version < a.right_since)
        GROUP BY t.fact
        """,
        since=since,
    )
    for row in rows:
        found["misinformed" if row["fact"] == "informed" else row["fact"]] = int(row["people"])
    return found


async def list_reach(
    tx: Reader, announcement_id: str, right_since: int, fact: str, missing: bool, under_id: str, after: str, limit: int
) -> list[api.PersonReach]:
    """The counted people with a fact about a right version, or without it, past an id; `under_id` keeps to those who report to a person."""
    condition = ""
    if fact:
        condition = f"AND r.{fact} {'<' if missing else '>='} :right_since"
        if missing:  # who is gone can no longer be reached, nor reminded
            condition += " AND u.departed = 0 AND u.erased = 0"
    below = "AND EXISTS (SELECT 1 FROM chart_lines k WHERE k.manager_id = :under_id AND k.person_id = r.person_id)" if under_id else ""
    params: dict[str, object] = {"right_since": right_since} if fact else {}
    if under_id:
        params["under_id"] = under_id
    rows = await tx.fetch(
        f"""
        SELECT r.person_id, r.shown, r.opened, r.confirmed, r.shown_time, r.opened_time, r.confirmed_time, u.card
        FROM receipts r
        LEFT JOIN people u ON u.person_id = r.person_id
        WHERE r.announcement_id = :announcement_id AND r.person_id > :after AND r.counted = 1 {condition} {below}
        ORDER BY r.person_id
        LIMIT :limit
        """,
        announcement_id=announcement_id, after=after, limit=limit, **params,
    )
    found = []
    for row in rows:
        person = Author.FromString(row["card"]) if row["card"] is not None else Author(person_id=row["person_id"])
        each = api.PersonReach(
            person=person, shown_version=row["shown"], opened_version=row["opened"], confirmed_version=row["confirmed"]
        )
        for stamp, column in ((each.show_time, "shown_time"), (each.open_time, "opened_time"), (each.confirm_time, "confirmed_time")):
            if row[column]:
                stamp.FromMicroseconds(row[column])
        found.append(each)
    return found


async def concerned(
    tx: Reader, found: Standing, notice: events.AnnouncementNotice.ValueType, number: int, after: str, limit: int
) -> list[str]:
    """Who is to be told on an occasion, past an id; nobody who left or was erased.

    Of the announcement the whole audience; by a reminder those of it who have not confirmed (where none is asked for: not opened); of a
    correction whoever saw an earlier version, in the audience or not.
    """
    params: dict[str, object] = {}
    if notice == events.ANNOUNCEMENT_NOTICE_CORRECTION:
        condition, params = "r.first_version > 0 AND r.first_version < :number", {"number": number}
    elif notice == events.ANNOUNCEMENT_NOTICE_REMINDER:
        condition, params = "r.counted = 1 AND r.confirmed < :right_since", {"right_since": found.right_since}
        if found.urgency != _CONFIRM:
            condition += " AND r.opened < :right_since"
    else:
        condition = "r.counted = 1"
    rows = await tx.fetch(
        f"""
        SELECT r.person_id
        FROM receipts r
        JOIN people u ON u.person_id = r.person_id
        WHERE r.announcement_id = :announcement_id AND r.person_id > :after AND {condition} AND u.departed = 0 AND u.erased = 0
        ORDER BY r.person_id
        LIMIT :limit
        """,
        announcement_id=found.announcement_id, after=after, limit=limit, **params,
    )
    return [row["person_id"] for row in rows]


async def due_reminders(tx: Reader, now_micros: int, limit: int) -> list[Row]:
    """Announcements whose set time has come, before their deadline."""
    return list(await tx.fetch(
        """
        SELECT announcement_id, author_id, remind_times, next_reminder_time
        FROM announcements
        WHERE next_reminder_time > 0 AND next_reminder_time <= :now AND deadline_time > :now AND publish_time > 0
          AND withdrawn = 0 AND erased = 0
        ORDER BY next_reminder_time
        LIMIT :limit
        """,
        now=now_micros, limit=limit,
    ))


async def next_reminder(tx: Reader, now_micros: int) -> int:
    """When the next set time after now comes; 0 for never."""
    row = await tx.fetch_one(
        """
        SELECT MIN(next_reminder_time) AS next_time
        FROM announcements
        WHERE next_reminder_time > :now AND withdrawn = 0 AND erased = 0
        """,
        now=now_micros,
    )
    return int(row["next_time"]) if row is not None and row["next_time"] is not None else 0


async def facts(reader: Reader, announcement_id: str, after: int, limit: int) -> list[Row]:
    """The facts of the counted past a position, in the order of the log."""
    return list(await reader.fetch(
        """
        SELECT position, person_id, fact, version, fact_time
        FROM reach_facts
        WHERE announcement_id = :announcement_id AND position > :after
        ORDER BY position
        LIMIT :limit
        """,
        announcement_id=announcement_id, after=after, limit=limit,
    ))
