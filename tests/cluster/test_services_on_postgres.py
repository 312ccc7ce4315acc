"""What the services promise holds on PostgreSQL too: their own tests, run again with each world on databases of a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.engines.postgres import Databases

ROOT = Path(__file__).resolve().parents[2]

# Everything whose SQL differs between what a service does, without the tests that measure time or need no database.
PARTS = {
    "identity": ["tests/identity", "--ignore=tests/identity/test_deciders.py", "--ignore=tests/identity/test_passwords.py"],
    "feed": [
        "tests/feed", "--ignore=tests/feed/test_deciders.py",
        "--deselect=tests/feed/test_imports.py::test_a_thousand_go_in_at_once_and_quickly",
    ],
    "search": ["tests/search"],
    "sessions": ["tests/security/test_revocation.py"],
    "journey": ["tests/journeys/test_first_company.py"],
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.timeout(900)
def test_its_tests_hold_on_postgres(part: str, postgres: Databases, tmp_path: Path) -> None:
    environment = os.environ | {"WATERCOOLER_TEST_DATABASE_URL": postgres.url("postgres")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'run'}", *PARTS[part]],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=880, check=False,
    )
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
