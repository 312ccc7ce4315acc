"""How much goes on, in numbers only."""
from __future__ import annotations

from libs.db.database import Transaction

DAY_MICROS = 86_400_000_000


async def active_people(tx: Transaction, now_micros: int, days: int) -> int:
    """How many people did something today or in the days before, `days` days in all (UTC); bots are no people."""
    row = await tx.fetch_one(
        """
        SELECT COUNT(DISTINCT person_id) AS total
        FROM active_days
        WHERE day > :since AND person_id NOT IN (SELECT person_id FROM bot_accounts)
        """,
        since=now_micros // DAY_MICROS - days,
    )
    return int(row["total"]) if row else 0


async def totals(tx: Transaction) -> dict[str, int]:
    """Posts, replies and reactions since the start."""
    return {row["name"]: row["total"] for row in await tx.fetch("SELECT name, total FROM totals")}
