"""Over HTTP, what one may not see answers exactly like what does not exist: every audience, every reader, every way to ask."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio

from libs.text.ids import new_id
from tests.security.conftest import Network, Person, started

pytestmark = pytest.mark.asyncio(loop_scope="module")

EMPLOYEES = {"author", "member", "follower", "grouped", "named", "stranger", "leaver", "administrator", "token"}
MEMBERS = {"author", "member", "member_guest"}
# Who sees what the author wrote. The leaver was a member, a follower and in the group, and is an employee still.
EXPECTED: dict[str, set[str]] = {
    "everyone": EMPLOYEES,
    "followers": {"author", "follower"},
    "group": {"author", "grouped"},
    "open": EMPLOYEES | {"member_guest"},
    "closed": MEMBERS,
    "secret": MEMBERS,
    "people": {"author", "named", "named_guest"},
}
GONE = ("offboarded", "erased", "anonymous")
_OWN = re.compile(
    r'"trace_id":"[0-9a-f]*"|trace id [0-9a-f]+|[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|csrf[^>]*>|"retry_after[^,]*'
)


@dataclass
class Written:
    """A post of the author with a reply, an edit and a reaction."""

    audience: str
    id: str
    reply_id: str
    community_id: str = ""
    handle: str = ""

    @property
    def word(self) -> str:
        """Stands in this post only."""
        return f"quaggle{self.audience}"


@dataclass
class Company:
    """People of every kind, and what the author wrote for each audience."""

    network: Network
    people: dict[str, Person] = field(default_factory=dict)
    posts: dict[str, Written] = field(default_factory=dict)
    queues: dict[str, str] = field(default_factory=dict)

    async def group(self, members: list[str]) -> str:
        """The directory's group with these members; answers its id."""
        keys = [{"person_key": self.people[name].email} for name in members]
        records = [{"external_id": "g1", "name": "The quiet group", "members": keys}]
        done = await self.network.administrator.post("/imports/groups", {"source": "directory", "records": records})
        assert done.status_code == 200 and not done.json()["results"][0].get("problem"), done.text
        await self.network.world.settle()
        listed = await self.network.administrator.get("/groups")
        group_id: str = listed.json()["groups"][0]["id"]
        return group_id


async def settle(company: Company) -> Company:
    await company.network.world.settle()
    await company.network.gateway.live.flush()
    return company


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def company(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Company]:
    async with started(tmp_path_factory.mktemp("company")) as network:
        found = Company(network)
        for name in ("author", "member", "follower", "grouped", "named", "stranger", "leaver", "offboarded", "erased"):
            found.people[name] = await network.person(name.title() + " Example")
        for name in ("named_guest", "member_guest"):
            found.people[name] = await network.person(name.replace("_", " ").title(), roles=("guest",))
        found.people["token"] = await network.person("Token Example", scopes=("read",))
        found.people["administrator"] = network.administrator
        found.people["anonymous"] = Person(network, "", "")
        await build(found)
        yield await settle(found)


async def build(company: Company) -> None:
    """Memberships, follows and the group; then posts; then those leave who leave."""
    people, network = company.people, company.network
    author, leaver = people["author"], people["leaver"]
    for name in ("follower", "leaver"):
        assert (await people[name].put(f"/people/{author.id}/follow")).status_code == 200
    group_id = await company.group(["author", "grouped", "leaver"])
    for name, person in people.items():
        if name not in GONE:
            registered = await person.client.get("/live/register")
            company.queues[name] = registered.json()["queue"]
    for audience in EXPECTED:
        given: dict[str, Any] = {"kind": audience}
        community_id = handle = ""
        if audience in ("open", "closed", "secret"):
            made = await author.post("/communities", {"name": f"Circle {audience} zorbing", "kind": audience})
            assert made.status_code == 201, made.text
            community_id, handle = made.json()["id"], made.json()["handle"]
            given = {"kind": "community", "id": community_id}
            for name in ("member", "member_guest", "leaver"):
                added = await author.post(f"/communities/{community_id}/members", {"person_id": people[name].id})
                assert added.status_code in (200, 201), added.text
            assert (await leaver.post(f"/communities/{community_id}/leave")).status_code == 200
        elif audience == "group":
            given["id"] = group_id
        elif audience == "people":
            given["person_ids"] = [people["named"].id, people["named_guest"].id]
        if audience == "followers":
            assert (await leaver.delete(f"/people/{author.id}/follow")).status_code == 200
        if audience == "group":
            await company.group(["author", "grouped"])
        # Mentioned are all of them: nobody hears of it who may not see it.
        handles = " ".join([f"@{(await network.administrator.get(f'/people/{p.id}')).json()['handle']}" for p in people.values() if p.id])
        post = await author.post("/posts", {"body": f"quaggle{audience} #zorb{audience} {handles}", "audience": given})
        assert post.status_code == 201, post.text
        post_id = post.json()["id"]
        reply = await author.post("/posts", {"body": f"Answer to quaggle{audience} #zorb{audience}", "parent_id": post_id})
        assert reply.status_code == 201, reply.text
        assert (await author.patch(f"/posts/{post_id}", {"body": f"quaggle{audience} again #zorb{audience} {handles}"})).status_code == 200
        assert (await author.post(f"/posts/{post_id}/reactions", {"emoji": "👍"})).status_code == 200
        company.posts[audience] = Written(audience, post_id, reply.json()["id"], community_id, handle)
    assert (await network.administrator.post(f"/people/{people['offboarded'].id}/offboard")).status_code == 200
    assert (await network.administrator.post(f"/people/{people['erased'].id}/erase")).status_code == 200


def plain(answer: httpx.Response, *ids: str) -> tuple[int, str, list[tuple[str, str]]]:
    """An answer without what differs from one request to the next: ids, traces and what is left of a quota."""
    headers = sorted(
        (name, value)
        for name, value in answer.headers.items()
        if name not in ("traceresponse", "x-request-id", "ratelimit", "date", "content-length", "set-cookie")
    )
    text = answer.text
    for one in ids:
        text = text.replace(one, "ID")
    return answer.status_code, _OWN.sub("ID", text), [(name, _OWN.sub("ID", value)) for name, value in headers]


WAYS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/posts/{id}", None),
    ("GET", "/posts/{id}/thread", None),
    ("GET", "/posts/{id}/revisions", None),
    ("GET", "/posts/{id}/reactions", None),
    ("POST", "/posts/{id}/reactions", {"emoji": "👍"}),
    ("DELETE", "/posts/{id}/reactions?emoji=%F0%9F%91%8D", None),
    ("PUT", "/posts/{id}/save", None),
    ("DELETE", "/posts/{id}/save", None),
    ("PUT", "/posts/{id}/confirmation", None),
    ("PATCH", "/posts/{id}", {"body": "mine"}),
    ("DELETE", "/posts/{id}", None),
    ("POST", "/posts", {"body": "re", "parent_id": "{id}"}),
    ("GET", "/posts?id={id}", None),
)
OF_COMMUNITIES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/communities/{id}", None),
    ("GET", "/communities/{id}/members", None),
    ("GET", "/communities/{id}/requests", None),
    ("GET", "/feeds/communities/{id}", None),
    ("POST", "/communities/{id}/join", None),
    ("POST", "/communities/{id}/leave", None),
    ("POST", "/communities/{id}/archive", None),
    ("PATCH", "/communities/{id}", {"name": "mine"}),
    ("PATCH", "/communities/{id}/members/{me}", {"role": "owner"}),
    ("DELETE", "/communities/{id}/members/{me}", None),
    ("POST", "/posts", {"body": "in", "audience": {"kind": "community", "id": "{id}"}}),
)


async def ask(person: Person, way: tuple[str, str, Any], entity_id: str) -> tuple[int, str, list[tuple[str, str]]]:
    method, path, body = way
    sent = None if body is None else _filled(body, entity_id)
    path = path.replace("{id}", entity_id).replace("{me}", person.id)
    answer = await person.client.request(method, "/api/v1" + path, json=sent, headers={"if-none-match": '"1"'})
    return plain(answer, entity_id)


def _filled(value: Any, entity_id: str) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, entity_id) for key, each in value.items()}
    return value.replace("{id}", entity_id) if isinstance(value, str) else value


async def everything(person: Person, post: Written, author: Person) -> dict[str, bool]:
    """By which lists, counts and searches the reader comes to know of the post."""
    word, tag = post.word, f"zorb{post.audience}"
    ways = {
        "person feed": f"/feeds/people/{author.id}?page_size=200&include_replies=true",
        "tag feed": f"/feeds/tags/{tag}",
        "company feed": "/feeds/company?page_size=200",
        "home": "/feeds/home?page_size=200",
        "saved": "/feeds/saved?page_size=200",
        "trending": "/topics",
        "search": f"/find?query={word}",
        "search of the tag": f"/find?tag={tag}",
        "search by author": f"/find?author_id={author.id}&page_size=100&newest_first=true",
        "inbox": "/inbox?page_size=200",
    }
    found = {}
    for name, path in ways.items():
        answer = await person.get(path)
        assert answer.status_code == 200, (path, answer.text)
        found[name] = word in answer.text or post.id in answer.text or post.reply_id in answer.text
        if name == "trending":
            found[name] = tag in answer.text
        if name == "search":
            found["search counts"] = answer.json()["total_size"] > 0 or bool(answer.json()["counts"])
    found["tag count"] = (await person.get(f"/topics/{tag}")).json()["post_count"] > 0
    return found


async def test_who_may_not_see_learns_nothing(company: Company) -> None:
    people, author = company.people, company.people["author"]
    leaks, missing = [], []
    for name, person in people.items():
        if name in GONE:
            continue
        nothing = [await ask(person, way, new_id()) for way in WAYS]
        for audience, post in company.posts.items():
            if name in EXPECTED[audience]:
                shown = await everything(person, post, author)
                missing += [
                    f"{name} does not see {audience} by {w}" for w in ("person feed", "tag feed", "search", "tag count") if not shown[w]
                ]
                if (await person.get(f"/posts/{post.id}")).status_code != 200:
                    missing.append(f"{name} does not see {audience}")
                if name not in ("author", "token") and not shown["inbox"] and audience != "followers":
                    missing.append(f"{name} was not told of {audience}")
                continue
            for entity_id in (post.id, post.reply_id):
                for way, expected in zip(WAYS, nothing, strict=True):
                    got = await ask(person, way, entity_id)
                    if got != expected:
                        leaks.append(f"{name} {way[0]} {way[1]} of {audience}: {got} instead of {expected}")
            leaks += [f"{name} sees {audience} by {way}" for way, seen in (await everything(person, post, author)).items() if seen]
            queue = company.network.gateway.live.find(company.queues[name], person.id)
            if queue is not None and any(post.id.encode() in each or post.reply_id.encode() in each for each in queue.waiting):
                leaks.append(f"{name} hears of {audience} live")
    assert leaks == []
    assert missing == []


async def test_counts_are_of_what_one_sees(company: Company) -> None:
    people, author = company.people, company.people["author"]
    for name, person in people.items():
        if name in GONE:
            continue
        relation = await person.get(f"/people/{author.id}/relationship")
        seen = sum(name in readers for readers in EXPECTED.values())
        assert relation.json()["post_count"] == seen, name
        found = (await person.get(f"/find?author_id={author.id}&kind=post&newest_first=true")).json()
        assert found["total_size"] == 2 * seen, name
        inbox = await person.get("/inbox/count")
        assert inbox.status_code == 200


async def test_scores_do_not_tell_of_what_is_hidden(company: Company) -> None:
    """How rare a word is would show in an absolute score; of the best hit it is always 1."""
    for reader in ("stranger", "member", "named"):
        hits = (await company.people[reader].get("/find?query=answer&kind=post")).json()["hits"]
        assert hits[0]["score"] == 1
        assert all(0 <= hit["score"] <= 1 for hit in hits)


async def test_nobody_without_an_account_is_answered(company: Company) -> None:
    post = company.posts["everyone"]
    for name in GONE:
        person = company.people[name]
        for method, path, body in (
            *WAYS,
            ("GET", "/feeds/home", None),
            ("GET", "/find?query=quaggleeveryone", None),
            ("GET", "/people", None),
        ):
            entity_id = post.id
            answer = await person.client.request(
                method, "/api/v1" + path.replace("{id}", entity_id), json=None if body is None else _filled(body, entity_id)
            )
            assert answer.status_code == 401, (name, path, answer.text)
            assert "quaggle" not in answer.text


async def test_a_secret_community_does_not_exist_for_others(company: Company) -> None:
    secret = company.posts["secret"]
    for name, person in company.people.items():
        if name in (*MEMBERS, *GONE):
            continue
        for way in OF_COMMUNITIES:
            assert await ask(person, way, secret.community_id) == await ask(person, way, new_id()), (name, way)
        known = plain(await person.get("/communities/lookup", params={"handle": secret.handle}), secret.handle)
        assert known == plain(await person.get("/communities/lookup", params={"handle": "no-such-one"}), "no-such-one")
        for path in (
            "/communities?page_size=200&include_archived=true",
            "/communities?query=secret",
            f"/communities?member_id={company.people['author'].id}",
            "/find?query=zorbing&page_size=100",
            "/find?query=secret",
            "/inbox?page_size=200",
        ):
            answer = await person.get(path)
            assert secret.community_id not in answer.text and "secret zorbing" not in answer.text, (name, path)


async def test_a_name_that_a_secret_community_has_tells_nothing(company: Company) -> None:
    stranger = company.people["stranger"]
    taken = (await stranger.post("/communities", {"name": "Circle secret zorbing"})).json()["handle"]
    free = (await stranger.post("/communities", {"name": "Circle another zorbing"})).json()["handle"]
    assert (taken, free) == ("circle-secret-zorbing", "circle-another-zorbing")


async def test_pages_tell_no_more_than_the_api(company: Company) -> None:
    author = company.people["author"]
    for name in ("stranger", "named_guest", "leaver", "administrator"):
        browser = await company.network.browser(company.people[name])
        for audience, post in company.posts.items():
            if name in EXPECTED[audience]:
                assert post.word in (await browser.client.get(f"/posts/{post.id}")).text, (name, audience)
                continue
            ghost = new_id()
            for path in ("/posts/{id}", "/posts/{id}/history", "/posts/{id}/edit", "/posts/{id}/delete"):
                hidden = plain(await browser.client.get(path.replace("{id}", post.id)), post.id)
                assert hidden == plain(await browser.client.get(path.replace("{id}", ghost)), ghost), (name, audience, path)
            for path in (
                "/",
                "/company",
                f"/people/{author.id}",
                f"/tags/zorb{audience}",
                "/notifications",
                f"/search?q={post.word}+again",
            ):
                page = await browser.client.get(path)
                assert post.id not in page.text and post.reply_id not in page.text, (name, audience, path)
                assert f"{post.word} again #" not in page.text, (name, audience, path)
        if name != "author" and name not in MEMBERS:
            secret = company.posts["secret"].community_id
            for path in ("/communities/{id}", "/communities/{id}/members", "/communities/{id}/requests", "/communities/{id}/edit"):
                ghost = new_id()
                hidden = plain(await browser.client.get(path.replace("{id}", secret)), secret)
                assert hidden == plain(await browser.client.get(path.replace("{id}", ghost)), ghost), (name, path)
