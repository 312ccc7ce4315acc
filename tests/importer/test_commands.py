"""`watercooler people` and `watercooler import` as an operator types them, alone and beside a running network."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from libs.runtime.cli import build
from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.identity.service import SERVICE as IDENTITY
from services.importer import cli
from tests.importer.importing import feed, identity
from watercooler.feed.v1 import feed_service_pb2 as feed_api
from watercooler.identity.v1 import identity_service_pb2 as identity_api

MAPPING = """
source: hr
parts:
  - kind: people
    files: "*.csv"
    fields:
      name: Name
      email: Mail
      employee_number: No
      manager: {field: Boss}
"""


def run(folder: Path, *arguments: str, typed: str = "") -> Result:
    group = build([IDENTITY, FEED])
    cli.register(group)
    return CliRunner().invoke(group, ["--data", str(folder / "var"), *arguments], input=typed)


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def files(folder: Path, rows: str, mapping: str = MAPPING) -> tuple[str, str]:
    (folder / "people.csv").write_text("No,Name,Mail,Boss\n" + rows)
    (folder / "hr.yaml").write_text(mapping)
    return str(folder / "people.csv"), str(folder / "hr.yaml")


def test_a_person_is_added_with_a_token(tmp_path: Path) -> None:
    typed = ("people", "add", "--name", "Ada Byron", "--email", "ada@example.com", "--token", "read,write", "--json")
    result = run(tmp_path, *typed)
    assert result.exit_code == 0, result.output
    (added,) = lines(result)
    assert (added["name"], added["email"], added["handle"], added["roles"], added["scopes"]) == (
        "Ada Byron", "ada@example.com", "ada", ["employee"], ["read", "write"]
    )
    assert added["token"].startswith("wct_") and added["invitation"].startswith("http://localhost:8000/invitation/")

    async def signed_in() -> Any:
        async with World.of(tmp_path, IDENTITY, FEED) as world:
            with world.acting_for("gateway"):
                request = identity_api.AuthenticateAccessTokenRequest(secret=added["token"])
                return await identity(world).AuthenticateAccessToken(request)

    assert asyncio.run(signed_in()).person.person_id == added["person_id"]
    assert run(tmp_path, "--json", *typed[:-1]).exit_code == 1  # the address is taken
    assert [each["email"] for each in lines(run(tmp_path, "--json", "people", "list"))] == ["ada@example.com"]
    assert "Ada Byron" in run(tmp_path, "people", "list", "byr").stdout
    assert "nobody" in run(tmp_path, "people", "list", "zoe").stdout


def test_a_person_with_a_password_needs_no_invitation(tmp_path: Path) -> None:
    result = run(
        tmp_path, "people", "add", "--name", "Eve", "--email", "eve@example.com", "--role", "administrator", "--role", "employee",
        "--password-prompt", typed="blue kettle orbit\nblue kettle orbit\n",
    )
    assert result.exit_code == 0, result.output
    assert "invitation" not in result.stdout and "blue kettle" not in result.stdout
    (listed,) = lines(run(tmp_path, "people", "list", "--json"))
    assert sorted(listed["roles"]) == ["administrator", "employee"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--token", "read,fly"), "'fly' is no scope"),
        (("--token", ","), "name at least one scope"),
        (("--token", "admin"), "only administrators have tokens with the scope admin"),
        (("--email", "no address"), "an e-mail address has"),
        (("--role", "king"), "'king' is not one of"),
    ],
)
def test_what_cannot_be_added_is_said_and_nobody_is_there(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    result = run(tmp_path, "people", "add", "--name", "Ada", "--email", "ada@example.com", *arguments)
    assert result.exit_code != 0 and expected in result.output
    assert lines(run(tmp_path, "--json", "people", "list")) == []


def test_an_import_shows_what_it_would_do_does_it_and_does_it_once(tmp_path: Path) -> None:
    source, mapping = files(tmp_path, "1,Ada,ada@example.com,2\n2,Bob,bob@example.com,\n3,Eve\n4,Mal,no address,1\n")
    report = tmp_path / "report.jsonl"
    dry = run(tmp_path, "import", "people", source, "--mapping", mapping, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "people.csv:2" in dry.stdout and "added" in dry.stdout and "nothing was changed" in dry.stdout
    assert lines(run(tmp_path, "--json", "people", "list")) == []

    done = run(tmp_path, "import", "people", source, "--mapping", mapping, "--report", str(report))
    assert done.exit_code == 0, done.output
    assert "people.csv:4: refused: the row has 2 cells, the row of names 4" in done.stdout
    assert "people.csv:5: refused: email: an e-mail address has exactly one @" in done.stdout
    written = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted((each["place"], each["outcome"]) for each in written) == [
        ("people.csv:2", "added"), ("people.csv:3", "added"), ("people.csv:4", "refused"), ("people.csv:5", "refused")
    ]
    assert [each["name"] for each in lines(run(tmp_path, "--json", "people", "list"))] == ["Ada", "Bob"]

    again = run(tmp_path, "import", "all", source, "--mapping", mapping)
    assert again.exit_code == 0 and "Nothing changed: everything was here already." in again.stdout
    told = lines(run(tmp_path, "import", "people", source, "--mapping", mapping, "--json"))
    assert told[-1] == {"kind": "people", "dry_run": False, "added": 0, "changed": 0, "unchanged": 2, "refused": 2, "left out": 0}


def test_an_import_of_which_nothing_goes_in_fails(tmp_path: Path) -> None:
    source, mapping = files(tmp_path, "1,Ada\n")
    result = run(tmp_path, "import", "people", source, "--mapping", mapping)
    assert result.exit_code == 1 and "Nothing could go in." in result.stdout


def test_a_wrong_mapping_stops_the_import_with_its_lines(tmp_path: Path) -> None:
    source, mapping = files(tmp_path, "1,Ada,ada@example.com,\n", MAPPING.replace("email: Mail", "emial: Mail"))
    result = run(tmp_path, "import", "people", source, "--mapping", mapping)
    assert result.exit_code == 1
    assert "hr.yaml:8: people: fields has no 'emial': did you mean email?" in result.output
    assert "say by --mapping FILE" in run(tmp_path, "import", "people", source).output
    (tmp_path / "hr.yaml").write_text(MAPPING)
    assert "the mapping has no part of the kind posts: it has people" in run(
        tmp_path, "import", "posts", source, "--mapping", mapping
    ).output
    assert "is no short name" in run(tmp_path, "import", "people", source, "--mapping", mapping, "--source-name", "A B").output


def test_managers_may_stand_in_later_batches(tmp_path: Path) -> None:
    rows = "".join(f"{n},Person {n},p{n}@example.com,{n + 1 if n < 1200 else ''}\n" for n in range(1, 1201))
    source, mapping = files(tmp_path, rows)
    dry = lines(run(tmp_path, "--json", "import", "people", source, "--mapping", mapping, "--dry-run"))
    assert dry[-1]["added"] == 1200 and not any(each.get("warnings") for each in dry)
    told = lines(run(tmp_path, "--json", "import", "people", source, "--mapping", mapping))
    assert told == [{"kind": "people", "dry_run": False, "added": 1200, "changed": 0, "unchanged": 0, "refused": 0, "left out": 0}]
    told = lines(run(tmp_path, "--json", "import", "people", source, "--mapping", mapping))
    assert told[-1]["unchanged"] == 1200

    async def chart() -> list[Any]:
        async with World.of(tmp_path, IDENTITY, FEED) as world:
            with world.acting_for("gateway"):
                found = []
                for number in ("500", "501", "1199", "1200"):
                    request = identity_api.FindPersonRequest(employee_number=number)
                    found.append(await identity(world).FindPerson(request))
                return found

    p500, p501, p1199, p1200 = asyncio.run(chart())
    assert (p500.manager_id, p1199.manager_id, p1200.manager_id) == (p501.person_id, p1200.person_id, "")


def test_the_same_person_twice_is_found_however_far_apart(tmp_path: Path) -> None:
    rows = ["1,Ada,ada@example.com,"] + [f"{n},Person {n},p{n}@example.com," for n in range(2, 600)] + ["600,Bob,ADA@Example.com,"]
    source, mapping = files(tmp_path, "\n".join(rows))
    for outcome in ("added", "unchanged"):
        told = lines(run(tmp_path, "import", "people", source, "--mapping", mapping, "--json"))
        (refused,) = [each for each in told if each.get("outcome") == "refused"]
        assert refused["place"] == "people.csv:601"
        assert refused["reason"] == "this is the same person as in people.csv:2: keep one of the two rows"
        counted = told[-1]
        assert (counted[outcome], counted["refused"], counted["changed"]) == (599, 1, 0)


def test_an_interrupted_import_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.importer.run import Run

    rows = "".join(f"{n},Person {n},p{n}@example.com,\n" for n in range(1, 1201))
    source, mapping = files(tmp_path, rows)
    send, calls = Run._send_people, []

    async def broken(self: Run, batch: Any) -> Any:
        calls.append(len(batch))
        if len(calls) == 2:
            raise OSError("the disk is gone")
        return await send(self, batch)

    monkeypatch.setattr(Run, "_send_people", broken)
    first = run(tmp_path, "import", "people", source, "--mapping", mapping)
    assert first.exit_code == 1 and "the disk is gone" in first.output
    monkeypatch.undo()
    told = lines(run(tmp_path, "--json", "import", "people", source, "--mapping", mapping))
    assert told[-1] == {"kind": "people", "dry_run": False, "added": 700, "changed": 0, "unchanged": 500, "refused": 0, "left out": 0}


async def test_an_import_beside_a_running_network_is_seen_by_it(tmp_path: Path) -> None:
    source, mapping = files(
        tmp_path, "1,Ada,ada@example.com,\n",
        MAPPING + "  - kind: posts\n    key: No\n    fields: {author: No, body: 'I am {Name}', time: {constant: 2020-01-01}}\n",
    )
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        done = await asyncio.to_thread(run, tmp_path, "--json", "import", "all", source, "--mapping", mapping)
        assert done.exit_code == 0, done.output
        assert [(each["kind"], each["added"]) for each in lines(done)] == [("people", 1), ("posts", 1)]
        await world.settle()
        with world.acting_for("gateway"):
            ada = await identity(world).FindPerson(identity_api.FindPersonRequest(email="ada@example.com"))
        with world.acting_as(ada.person_id):
            posts = (await feed(world).ListTimeline(feed_api.ListTimelineRequest(kind=feed_api.TIMELINE_KIND_COMPANY))).posts
        assert [(each.body, each.publish_time.ToJsonString()) for each in posts] == [("I am Ada", "2020-01-01T00:00:00Z")]
        await world.assert_rebuilds()
