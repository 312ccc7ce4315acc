"""Questions to leaders."""
from __future__ import annotations

from collections.abc import Sequence

from libs.db.database import Row, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1 import asking_service_pb2 as api
from watercooler.feed.v1.feed_service_pb2 import Author

from .asking import shown_authors
from .posts import fetch_authors

# The bit of `standings.announces` that the role leader sets.
_LEADER = 2
LEADERS_MOST = 200
# What the column of votes holds; a token may say anything.
_VOTES_MOST = (1 << 31) - 1
_COLUMNS = """
    e.enquiry_id, e.asker_id, e.anonymous, e.body, e.addressees, e.ask_time, e.state, e.vote_count, e.delegate_id, e.answer_time,
    e.version, e.erased
"""
_WITHDRAWN = int(api.ENQUIRY_STATE_WITHDRAWN)
_WAITING = (int(api.ENQUIRY_STATE_OPEN), int(api.ENQUIRY_STATE_ACCEPTED))


async def list_leaders(tx: Transaction) -> list[Author]:
    """Those with the role leader who are here."""
    rows = await tx.fetch(
        """
        SELECT a.card
        FROM standings s
        JOIN people a ON a.person_id = s.person_id
        WHERE s.announces IN (:leader, :both) AND a.departed = 0 AND a.erased = 0
        ORDER BY a.display_name, a.person_id
        LIMIT :most
        """,
        leader=_LEADER, both=_LEADER + 1, most=LEADERS_MOST,
    )
    return [Author.FromString(bytes(row["card"])) for row in rows]


async def fetch_row(tx: Transaction, enquiry_id: str) -> Row | None:
    """A question's row."""
    return await tx.fetch_one(f"SELECT {_COLUMNS} FROM enquiries e WHERE e.enquiry_id = :enquiry_id", enquiry_id=enquiry_id)


async def list_rows(
    tx: Transaction, order: api.EnquiryOrder.ValueType, state: int, key: tuple[int, str] | None, limit: int
) -> Sequence[Row]:
    """Rows past a key (votes or time, and id) in an order; withdrawn questions are in no list."""
    column, descending = {
        api.ENQUIRY_ORDER_UNSPECIFIED: ("vote_count", True), api.ENQUIRY_ORDER_NEWEST: ("ask_time", True),
        api.ENQUIRY_ORDER_WAITING: ("ask_time", False),
    }[order]
    past, direction = ("<", "DESC") if descending else (">", "ASC")
    waiting = f"e.state IN {_WAITING}" if order == api.ENQUIRY_ORDER_WAITING else "1 = 1"
    number, enquiry_id = key or (0, "")
    if column == "vote_count":
        number = min(number, _VOTES_MOST)
    return await tx.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM enquiries e
        WHERE e.state <> {_WITHDRAWN} AND (:state = 0 OR e.state = :state) AND {waiting}
          AND (:first = 1 OR e.{column} {past} :number OR (e.{column} = :number AND e.enquiry_id {past} :enquiry_id))
        ORDER BY e.{column} {direction}, e.enquiry_id {direction}
        LIMIT :limit
        """,
        state=state, first=int(key is None), number=number, enquiry_id=enquiry_id, limit=limit,
    )


async def fetch_enquiries(tx: Transaction, caller: Caller, rows: Sequence[Row]) -> list[api.Enquiry]:
    """Questions as the caller may use them."""
    if not rows:
        return []
    placeholders, params = in_list("e", [row["enquiry_id"] for row in rows])
    steps = await tx.fetch(
        f"""
        SELECT enquiry_id, state, person_id, text, step_time, erased FROM enquiry_steps
        WHERE enquiry_id IN ({placeholders})
        ORDER BY enquiry_id, version
        """,
        **params,
    )
    votes = await tx.fetch(
        f"SELECT enquiry_id FROM enquiry_votes WHERE person_id = :reader_id AND enquiry_id IN ({placeholders})",
        reader_id=caller.person_id, **params,
    )
    voted = {row["enquiry_id"] for row in votes}
    named = {step["person_id"] for step in steps}
    for row in rows:
        named |= {row["asker_id"], row["delegate_id"], *row["addressees"].split()} - {""}
    authors = await fetch_authors(tx, named)
    leads = "leader" in caller.roles
    found = []
    for row in rows:
        withdrawn = row["state"] == _WITHDRAWN
        own = bool(caller.person_id) and row["asker_id"] == caller.person_id
        enquiry = api.Enquiry(
            enquiry_id=row["enquiry_id"], body=row["body"], anonymous=bool(row["anonymous"]),
            addressees=shown_authors(authors, row["addressees"].split()), state=row["state"], vote_count=row["vote_count"],
            voted=row["enquiry_id"] in voted, erased=bool(row["erased"]), etag=str(row["version"]),
            can_vote=bool(caller.person_id) and not own and not withdrawn,
            can_answer=(leads or (bool(caller.person_id) and row["delegate_id"] == caller.person_id)) and not own and not withdrawn,
            can_delegate=leads and not withdrawn, can_withdraw=(own or caller.is_administrator) and not withdrawn,
        )
        enquiry.ask_time.FromMicroseconds(row["ask_time"])
        if row["asker_id"]:
            enquiry.asker.CopyFrom(authors.get(row["asker_id"]) or Author(person_id=row["asker_id"]))
        if row["delegate_id"]:
            enquiry.delegate.CopyFrom(authors.get(row["delegate_id"]) or Author(person_id=row["delegate_id"]))
        if row["answer_time"]:
            enquiry.answer_seconds = max(1, (row["answer_time"] - row["ask_time"]) // 1_000_000)
        for step in steps:
            if step["enquiry_id"] == row["enquiry_id"]:
                shown = enquiry.steps.add(
                    state=step["state"], person=authors.get(step["person_id"]) or Author(person_id=step["person_id"]), text=step["text"],
                    erased=bool(step["erased"]),
                )
                shown.step_time.FromMicroseconds(step["step_time"])
        found.append(enquiry)
    return found


async def figures(tx: Transaction) -> tuple[int, int, int]:
    """How many questions wait, how many were answered, and the median time to the first answer in seconds."""
    row = await tx.fetch_one(
        f"""
        SELECT COALESCE(SUM(CASE WHEN state IN {_WAITING} THEN 1 ELSE 0 END), 0) AS waiting,
               COALESCE(SUM(CASE WHEN answer_time > 0 THEN 1 ELSE 0 END), 0) AS answered
        FROM enquiries
        WHERE state <> {_WITHDRAWN}
        """
    )
    assert row is not None
    waiting, answered = int(row["waiting"]), int(row["answered"])
    if not answered:
        return waiting, 0, 0
    middle = await tx.fetch_one(
        f"""
        SELECT answer_time - ask_time AS lasted FROM enquiries
        WHERE answer_time > 0 AND state <> {_WITHDRAWN}
        ORDER BY lasted
        LIMIT 1 OFFSET :half
        """,
        half=(answered - 1) // 2,
    )
    assert middle is not None
    return waiting, answered, max(1, int(middle["lasted"]) // 1_000_000)


async def hold(tx: Transaction, enquiry_id: str, body: str, addressees: str) -> None:
    """Keep an anonymous question until its hour; the same text again is the same question."""
    await tx.execute(
        """
        INSERT INTO held_enquiries (enquiry_id, body, addressees) VALUES (:enquiry_id, :body, :addressees)
        ON CONFLICT (enquiry_id) DO NOTHING
        """,
        enquiry_id=enquiry_id, body=body, addressees=addressees,
    )


async def held(tx: Transaction) -> Sequence[Row]:
    """The questions that wait for their hour, in the order of their ids, which is none of time."""
    return await tx.fetch("SELECT enquiry_id, body, addressees FROM held_enquiries ORDER BY enquiry_id")


async def count_held(tx: Transaction) -> int:
    """How many wait for their hour."""
    row = await tx.fetch_one("SELECT COUNT(*) AS total FROM held_enquiries")
    return int(row["total"]) if row else 0


async def release(tx: Transaction, enquiry_id: str) -> None:
    """Forget a question that is in the log."""
    await tx.execute("DELETE FROM held_enquiries WHERE enquiry_id = :enquiry_id", enquiry_id=enquiry_id)
