"""A service that is away takes with it what it alone does, and nothing else; whoever asks for that is told to come again."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from email.message import Message

import pytest

from tests.cluster.cluster import eventually
from tests.cluster.faults.stage import Stage

pytestmark = pytest.mark.timeout(300)


def ask(stage: Stage, path: str) -> tuple[int, str, Message]:
    """An API call's status, content and headers."""
    request = urllib.request.Request(f"{stage.cluster.address}/api/v1{path}", headers={"authorization": f"Bearer {stage.admin.token}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


@pytest.mark.parametrize(("away", "lost", "kept"), [
    (("search",), "/find?query=water", ("/posts/{post}", "/people", "/organization/chart")),
    (("feed-api",), "/posts/{post}", ("/people", "/organization/chart", "/find?query=water")),
    (("identity",), "/people", ("/posts/{post}", "/find?query=water")),
])
def test_only_what_a_service_does_is_missing_without_it(stage: Stage, away: tuple[str, ...], lost: str, kept: tuple[str, ...]) -> None:
    posts: list[str] = []
    # Everybody finds everybody again after the last test; and the token is known from here on.
    eventually("a new post", lambda: posts.append(stage.admin.post("Still running water")) or posts)
    post = posts[0]
    for path in (lost, *kept):
        eventually(path, lambda path=path: ask(stage, path.format(post=post))[0] == 200)
    for name in away:
        stage.cluster.processes[name].stop()
    status, text, headers = ask(stage, lost.format(post=post))
    assert status == 503, text
    assert int(headers["Retry-After"]) > 0
    assert json.loads(text)["status"] == 503
    for path in kept:
        status, text, _ = ask(stage, path.format(post=post))
        assert status == 200, f"{path}: {status} {text}"
    stage.cluster.start()
    eventually("it is back", lambda: ask(stage, lost.format(post=post))[0] == 200)
