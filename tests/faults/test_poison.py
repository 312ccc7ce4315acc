"""An event that a read model cannot take, in a running network, from the park to the mend by the command line."""
from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.programs import Command, call

DEADLINE_SECONDS = 20.0


def eventually(holds: Callable[[], bool]) -> bool:
    """Ask until it holds or the time is over; each look is a call to the other process."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        if holds():
            return True
    return False


def test_a_poison_event_is_parked_seen_and_retried(tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    command = Command(tmp_path / "var", "tests.faults.fragile", POISON_MENDED=str(mended))
    with command.running() as address:

        def post(post_id: str, version: int, text: str) -> None:
            status, answer = call("POST", f"{address}/post/{post_id}/{version}", text.encode())
            assert status == 200, answer

        def metric(name: str) -> float:
            for line in call("GET", f"{address}/metrics")[1].decode().splitlines():
                if line.startswith(f'{name}{{subscription="copy.bodies"}} '):
                    return float(line.split()[-1])
            raise AssertionError(f"{name} is not exposed")

        def current() -> bool:
            return all(count == 0 for count in json.loads(call("GET", f"{address}/behind")[1]).values())

        post("a", 0, "good")
        post("b", 0, "poison")
        post("b", 1, "an edit of the poisoned post")
        post("c", 0, "also good")
        assert eventually(lambda: metric("watercooler_parked_streams") == 1)
        post("d", 0, "after it was parked")
        post("b", 2, "another edit")
        assert eventually(current), "the other streams go on"
        assert metric("watercooler_subscription_lag_events") == 0

        [parked] = command.lines("parked", "list", "--json")
        assert (parked["subscription"], parked["source"], parked["stream"], parked["position"]) == ("copy.bodies", "source", "post-b", 2)
        assert "this text is poison" in parked["reason"]
        assert "post-b" in command("parked", "list")
        found = command.lines("verify", "--json", status=1)
        assert any("parked post-b" in each.get("problem", "") for each in found), found

        assert any("no rebuild to compare with" in each.get("problem", "") for each in found)
        assert "copy.bodies cannot take event 2" in command("rebuild", "copy", status=1)

        # Tried again too early it stays where it is, and says why; nothing is lost by trying.
        assert command.lines("parked", "retry", "post-b", "--json")[0]["subscriptions"] == 1
        post("e", 0, "meanwhile")
        assert eventually(current)
        assert metric("watercooler_parked_streams") == 1

        mended.touch()
        command("parked", "retry", "post-b")
        assert eventually(lambda: metric("watercooler_parked_streams") == 0)
        assert command.lines("parked", "list", "--json") == [{"parked": 0}]
        post("b", 3, "the last edit")
        assert eventually(current)
        assert command.lines("verify", "--json") == [{"findings": 0}]  # whole again: every edit taken once, in order


def test_parking_outlives_a_restart_and_a_rebuild_ends_it(tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    command = Command(tmp_path / "var", "tests.faults.fragile", POISON_MENDED=str(mended))
    with command.running() as address:
        assert call("POST", f"{address}/post/b/0", b"poison")[0] == 200
        assert eventually(lambda: len(command.lines("parked", "list", "--json")) == 1 and "stream" in command("--json", "parked", "list"))
    with command.running() as address:
        assert call("POST", f"{address}/post/b/1", b"an edit")[0] == 200
        assert 'watercooler_parked_streams{subscription="copy.bodies"} 1.0' in call("GET", f"{address}/metrics")[1].decode()
        mended.touch()
        command("rebuild", "copy", "bodies")
        assert call("POST", f"{address}/post/b/2", b"after the rebuild")[0] == 200
        assert eventually(lambda: not any(json.loads(call("GET", f"{address}/behind")[1]).values()))
        assert command.lines("verify", "--json") == [{"findings": 0}]
        assert 'watercooler_parked_streams{subscription="copy.bodies"} 0.0' in call("GET", f"{address}/metrics")[1].decode()
