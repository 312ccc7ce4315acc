"""Statements as text: what is a parameter and what only looks like one, and what PostgreSQL is given of a portable schema."""

from __future__ import annotations

import pytest

from libs.db.database import DatabaseError
from libs.db.postgres import dialect, lock_number, numbered
from libs.db.schema import created, only, statements


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT :a", "SELECT $1::bigint"),
        ("SELECT :a, :b, :a", "SELECT $1::bigint, $2::text, $1::bigint"),
        ("SELECT ':a', :b", "SELECT ':a', $1::text"),
        ("SELECT 'it''s :a', :b", "SELECT 'it''s :a', $1::text"),
        ("SELECT '\\', :b", "SELECT '\\', $1::text"),
        (r"SELECT E'it\'s :a', :b", r"SELECT E'it\'s :a', $1::text"),
        ("SELECT name'x :a', :b", "SELECT name'x :a', $1::text"),
        ('SELECT ":a", :b', 'SELECT ":a", $1::text'),
        ("SELECT :a::text", "SELECT $1::bigint::text"),
        ("SELECT x::bigint", "SELECT x::bigint"),
        ("SELECT 1 -- :b, it's\n, :a", "SELECT 1 -- :b, it's\n, $1::bigint"),
        ("SELECT 1 /* :b\n' */, :a", "SELECT 1 /* :b\n' */, $1::bigint"),
        ("SELECT $$:b'$$, $x$ $$ :b $x$, :a", "SELECT $$:b'$$, $x$ $$ :b $x$, $1::bigint"),
        ("SELECT :c, :d, :e, :f", "SELECT $1::bytea, $2, $3::double precision, $4::bigint"),
        ("SELECT 10", "SELECT 10"),
    ],
)
def test_parameters_are_numbered(sql: str, expected: str) -> None:
    values = {"a": 1, "b": "two", "c": b"3", "d": None, "e": 5.0, "f": True}
    text, given = numbered(sql, values)
    assert text == expected
    assert len(given) == len({part for part in text.replace(",", " ").split() if part.startswith("$") and part[1:2].isdigit()})


def test_a_statement_is_numbered_by_the_kinds_of_its_values() -> None:
    assert numbered("SELECT :a", {"a": 1}) == ("SELECT $1::bigint", [1])
    assert numbered("SELECT :a", {"a": "1"}) == ("SELECT $1::text", ["1"])
    assert numbered("SELECT :a", {"a": None, "unused": 2}) == ("SELECT $1", [None])


def test_what_cannot_be_bound_is_refused() -> None:
    with pytest.raises(DatabaseError, match="'b'"):
        numbered("SELECT :b", {"a": 1})
    with pytest.raises(DatabaseError, match="dict"):
        numbered("SELECT :a", {"a": {}})


SCHEMA = """
-- One; not two.
CREATE TABLE IF NOT EXISTS posts (
    -- TEXT; and INTEGER in a comment stay
    post_id TEXT PRIMARY KEY,
    number  INTEGER NOT NULL DEFAULT 0,
    kind    TEXT NOT NULL DEFAULT 'TEXT;',
    body    BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS posts_by_number ON posts (number);
CREATE TABLE IF NOT EXISTS others (id BIGINT PRIMARY KEY);
CREATE UNIQUE INDEX IF NOT EXISTS Others_By_Id ON others (id);
INSERT INTO others VALUES (1)
"""


def test_a_script_is_cut_into_statements() -> None:
    found = statements(SCHEMA)
    assert len(found) == 5
    assert [created(each) for each in found] == [
        ("posts", "posts"), ("posts_by_number", "posts"), ("others", "others"), ("others_by_id", "others"), None,
    ]
    assert not statements(" ; \n")


def test_a_part_of_a_schema_is_tables_with_their_indexes() -> None:
    assert [created(each) for each in statements(only(SCHEMA, ("posts",)))] == [("posts", "posts"), ("posts_by_number", "posts")]
    assert only(SCHEMA, ()) == ""


def test_texts_are_ordered_by_code_points_and_numbers_have_64_bits() -> None:
    table = dialect(statements(SCHEMA)[0])
    assert 'post_id TEXT COLLATE "C" PRIMARY KEY' in table
    assert "number  BIGINT NOT NULL DEFAULT 0" in table
    assert "body    BYTEA NOT NULL" in table
    assert "-- TEXT; and INTEGER in a comment stay" in table and "DEFAULT 'TEXT;'" in table
    assert "CREATE UNLOGGED TABLE IF NOT EXISTS posts" in dialect(statements(SCHEMA)[0], logged=False)
    assert dialect("ALTER TABLE posts ADD COLUMN x TEXT") == 'ALTER TABLE posts ADD COLUMN x TEXT COLLATE "C"'
    assert dialect("SELECT CAST(:a AS TEXT)") == "SELECT CAST(:a AS TEXT)"


def test_a_named_lock_has_the_same_number_everywhere() -> None:
    assert lock_number("events") == -8780867286240890357
