"""What the services promise holds on PostgreSQL too: their own tests, run again with each world on databases of a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.engines.postgres import Databases

ROOT = Path(__file__).resolve().parents[2]

# By folder, in parts of a few minutes: what reads and writes tables. Left out is what measures time, waits for a mail server or decides
# without a database.
PARTS = {
    "identity": ["people", "imports", "profiles", "tokens", "erasure", "sign_in"],
    "feed": [
        "access", "communities", "engagement", "erasure", "imports", "notifications", "posts", "sharing", "timelines", "with_identity",
        "delivery", "ranked",
    ],
    "feed-more": ["announcements", "asking", "drafting", "mentions", "moderation", "policy", "reading", "retention", "webhooks"],
    "search": ["search"],
}
LEFT_OUT = [
    "tests/identity/test_sign_in.py::test_hashing_leaves_the_loop_free",
    # One of its cases is enough: each takes thousands of commands.
    "tests/feed/test_timelines.py::test_home_equals_the_naive_model[1-2]",
    "tests/feed/test_timelines.py::test_home_equals_the_naive_model[3-1]",
    "tests/feed/test_timelines.py::test_home_equals_the_naive_model[200-300]",
]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.timeout(900)
def test_its_tests_hold_on_postgres(part: str, postgres: Databases, tmp_path: Path) -> None:
    folder = part.partition("-")[0]
    environment = os.environ | {"WATERCOOLER_TEST_DATABASE_URL": postgres.url("postgres")}
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'run'}"]
    command += [f"tests/{folder}/test_{name}.py" for name in PARTS[part]]
    command += [f"--deselect={each}" for each in LEFT_OUT if each.startswith(f"tests/{folder}/")]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=880, check=False,
    )
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
