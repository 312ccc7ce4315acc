"""The consumer in docs/events.md does what its page says."""
from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from tests.cli.programs import ROOT, Command, call, environment


def test_the_documented_consumer_follows_and_resumes(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "events.md").read_text(), re.DOTALL | re.MULTILINE)
    [code] = [block for block in blocks if "NETWORK_URL" in block]
    (tmp_path / "consumer.py").write_text(code)
    command = Command(tmp_path / "var")

    def posts() -> list[tuple[str, str]]:
        if not (tmp_path / "posts.db").exists():
            return []
        with sqlite3.connect(tmp_path / "posts.db", timeout=5) as database:
            if not database.execute("SELECT name FROM sqlite_master WHERE name = 'posts'").fetchone():
                return []
            return database.execute("SELECT post_id, body FROM posts ORDER BY post_id").fetchall()

    def holds(wanted: list[tuple[str, str]]) -> bool:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if posts() == sorted(wanted):
                return True
        return False

    with command.running() as address:
        organization = {"name": "Riverside", "person_name": "Ann", "email": "ann@example.org", "password": "seven quiet herons over Tartu"}
        assert call("POST", f"{address}/api/v1/organization", organization)[0] == 201
        [added] = command.lines(
            "people", "add", "--name", "Data warehouse", "--email", "warehouse@example.org", "--role", "employee",
            "--role", "administrator", "--token", "read,write,admin", "--json",
        )
        token = added["token"]

        def post(text: str) -> tuple[str, str]:
            status, made = call("POST", f"{address}/api/v1/posts", {"body": text}, token)
            assert status == 201, made
            return made["id"], text

        def consumer() -> subprocess.Popen[str]:
            given = environment() | {"NETWORK_URL": address, "NETWORK_TOKEN": token, "POSTS_FILE": str(tmp_path / "posts.db")}
            return subprocess.Popen([sys.executable, str(tmp_path / "consumer.py")], env=given, text=True)

        kept = [post("before anybody followed")]
        with consumer() as process:
            try:
                assert holds(kept)
                kept.append(post("as it happens"))
                assert holds(kept)
            finally:
                process.kill()
        kept.append(post("while the consumer was down"))
        gone, _ = post("deleted meanwhile")
        assert call("DELETE", f"{address}/api/v1/posts/{gone}", token=token)[0] in (200, 204)
        with consumer() as process:
            try:
                assert holds(kept)
                found = call("GET", f"{address}/api/v1/events?service=feed&after=0&page_size=2", token=token)[1]
                assert [event["sequence"] for event in found["events"]] == ["1", "2"] and found["next_after"] == 2
            finally:
                process.kill()
