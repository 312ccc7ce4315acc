"""The pages over a whole network: what they answer, what they cost, what they refuse."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import httpx
import pytest

from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.gateway.pages import assets, convert, directory_file, people, posts
from services.gateway.pages.posts import difference
from services.gateway.parties import Clients
from services.gateway.service import SERVICE as GATEWAY
from services.identity.service import SERVICE as IDENTITY
from services.search.service import SERVICE as SEARCH
from watercooler.search.v1 import search_service_pb2 as search

from .conftest import PASSWORD, QUICK, Network, Person

CALLS_MAX = 12
HX = {"hx-request": "true"}


class Counting:
    """A stub that notes which of its methods are called."""

    def __init__(self, stub: Any, calls: list[str]) -> None:
        self._stub, self._calls = stub, calls

    def __getattr__(self, name: str) -> Any:
        self._calls.append(name)
        return getattr(self._stub, name)


def count(network: Network) -> list[str]:
    """Notes every call the gateway makes from now on, for pages and for who asks for them."""
    calls: list[str] = []
    held = network.gateway.clients
    counting: Any = Clients(**{each.name: Counting(getattr(held, each.name), calls) for each in dataclasses.fields(held)})  # type: ignore[arg-type]
    object.__setattr__(network.gateway, "clients", counting)
    network.gateway.accounts._clients = counting
    return calls


async def form(person: Person, path: str, fields: dict[str, Any], **options: Any) -> httpx.Response:
    """Send a form of a page, with the token that the page carries."""
    token = person.client.headers["x-csrf-token"]
    return await person.client.post(path, data={"csrf_token": token, **fields}, **options)


@pytest.fixture
async def ada(network: Network) -> Person:
    """The administrator in a browser."""
    return await network.browser(network.administrator)


async def test_every_page_answers_within_twelve_calls(network: Network, ada: Person) -> None:
    admin = network.administrator
    bo = await network.person("Bo Berg")
    await admin.put(f"/people/{bo.id}/manager", {"manager_id": admin.id})
    await bo.put(f"/people/{admin.id}/follow")
    community = (await admin.post("/communities", {"name": "Pumps", "kind": "open", "tags": ["pumps"]})).json()["id"]
    await bo.post(f"/communities/{community}/join")
    post = (await bo.post("/posts", {"body": "Pump 3 hums, @ada #pumps"})).json()["id"]
    named = {"kind": "people", "person_ids": [admin.id, bo.id]}
    assert (await bo.post("/posts", {"body": "Between us.", "audience": named})).status_code == 201
    reply = (await admin.post("/posts", {"body": "Since when?", "parent_id": post})).json()["id"]
    await admin.put(f"/posts/{reply}/save")
    await bo.post(f"/posts/{reply}/reactions", {"emoji": "👍"})
    await network.world.settle()
    own = (await admin.post("/posts", {"body": "Mine."})).json()["id"]
    calls = count(network)
    for path in (
        "/", "/company", "/compose", "/saved", "/tags/pumps", f"/posts/{post}", f"/posts/{own}/edit", f"/posts/{post}/history",
        f"/posts/{own}/delete", "/communities", "/communities?tab=mine", "/communities?q=pum", "/communities/new",
        f"/communities/{community}", f"/communities/{community}/members", f"/communities/{community}/members?q=bo",
        f"/communities/{community}/edit", f"/communities/{community}/requests", "/people", "/people?q=bo", f"/people/{bo.id}",
        f"/people/{ada.id}", f"/people/{bo.id}/followers", f"/people/{bo.id}/following", f"/posts/{reply}/reactions",
        f"/posts/{reply}/reactions?emoji=👍",
        "/organisation", f"/organisation/{bo.id}", "/search", "/search?q=pump&author=@bo.berg&tag=pumps",
        "/notifications", "/settings/profile", "/settings/security", "/settings/sessions", "/settings/tokens", "/settings/appearance",
        "/admin/people", f"/admin/people/{bo.id}",
        "/admin/invite", "/admin/import", "/admin/sessions", "/admin/erasure?q=bo", f"/admin/erasure?person_id={bo.id}",
        "/drafts", "/drafts?tab=scheduled", "/lists", "/settings/reading", "/settings/filters", f"/people/{bo.id}/reading", "/admin/emoji",
        "/admin/organisation", "/admin/operation", "/design",
    ):
        # As dear as it gets: nothing is remembered from the page before.
        network.gateway.accounts.forget(ada.id)
        network.gateway.site._organization = network.gateway.site._facets = None
        calls.clear()
        answer = await ada.client.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
        assert len(calls) <= CALLS_MAX, (path, calls)
        assert answer.text.count("<h1") == 1, path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        for sent in re.findall(r'<form[^>]*method="post".*?</form>', answer.text, re.DOTALL):
            assert 'name="csrf_token"' in sent, (path, sent[:120])


async def test_before_the_set_up_every_page_leads_there(tmp_path: Any) -> None:
    async with World.of(tmp_path, IDENTITY, FEED, SEARCH, GATEWAY, **QUICK) as world:
        network = Network(world)
        client = network.anybody.client
        for path in ("/", "/sign-in", "/people", "/invitation/x", "/admin/people"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/setup"), path
        page = await client.get("/setup")
        assert page.status_code == 200
        token = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)[0]
        fields = {"organization_name": "Example", "name": "Ada Admin", "email": "ada@water.example", "password": PASSWORD}
        assert (await client.post("/setup", data=fields)).status_code == 403, "without the token"
        refused = await client.post("/setup", data={**fields, "csrf_token": token, "email": "ada"})
        assert refused.status_code == 422
        assert 'value="Ada Admin"' in refused.text
        assert PASSWORD not in refused.text
        done = await client.post("/setup", data={**fields, "csrf_token": token})
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/setup")).headers["location"] == "/"


async def test_a_sign_in_comes_back_only_to_this_site(network: Network) -> None:
    ada = network.administrator
    client = Person(network, ada.id, ada.email).client
    for asked, goes in (
        ("/people?q=bo", "/people?q=bo"), ("https://example.com", "/"), ("//example.com", "/"), ("/\\example.com", "/"),
        ("javascript:alert(1)", "/"), ("/a\r\nset-cookie: x=y", "/"),
    ):
        token = re.findall(r'name="csrf_token" value="([^"]+)"', (await client.get("/sign-in")).text)[0]
        fields = {"csrf_token": token, "email": ada.email, "password": PASSWORD, "next": asked}
        answer = await client.post("/sign-in", data=fields)
        assert (answer.status_code, answer.headers["location"]) == (303, goes), asked
        client.cookies.clear()


async def test_what_one_writes_is_first_taken_for_the_language_of_the_pages(ada: Person) -> None:
    page = (await ada.client.get("/compose", headers={"accept-language": "de-DE"})).text
    assert re.findall(r'<option value="(\w+)" selected', page[page.index('name="language"'):])[0] == "de"


async def test_a_directory_file_with_bad_lines_goes_in_without_them(network: Network, ada: Person) -> None:
    content = b"Name,E-mail\nZoe Zorn,zoe@x.example\nshort\nAnother,ZOE@x.example\n"
    planned = await form(ada, "/admin/import", {"kind": "csv"}, files={"file": ("staff.csv", content)})
    assert planned.status_code == 303
    page = (await ada.client.get(planned.headers["location"])).text
    assert "The row has 1 cells, the first line 2." in page and "same person as in line 2" in page and "Write 1 record" in page
    assert (await form(ada, "/admin/import", {"import_id": planned.headers["location"].rpartition("/")[2]})).status_code == 303
    imports = network.gateway.site.imports
    entry = imports and imports.find(planned.headers["location"].rpartition("/")[2])
    assert entry and entry.task
    await entry.task
    assert (entry.state, entry.done, entry.rejected) == ("done", 3, 2)
    nothing = await form(ada, "/admin/import", {"kind": "csv"}, files={"file": ("bad.csv", b"Name,E-mail\nBo,no-address\n")})
    assert "Write 0" not in (await ada.client.get(nothing.headers["location"])).text


async def test_who_saves_second_sees_what_was_saved_and_keeps_their_own(network: Network, ada: Person) -> None:
    community = (await network.administrator.post("/communities", {"name": "Pumps", "kind": "open"})).json()["id"]
    base = {"name": "Pumps", "description": "", "rules": "", "kind": "open", "tags": ""}
    for path, fields, name in (
        ("/settings/profile", {"location": "Ulm"}, "about"), (f"/communities/{community}/edit", base, "description"),
        (f"/admin/people/{ada.id}", {}, "title"),
    ):
        version = re.findall(r'name="version" value="([^"]+)"', (await ada.client.get(path)).text)[0]
        first = {**fields, "version": version, name: "From the first tab"}
        assert (await form(ada, path, first)).status_code == 303, path
        refused = await form(ada, path, {**fields, "version": version, name: "From the second tab"})
        assert refused.status_code == 409, path
        assert "From the second tab" in refused.text and "Saved meanwhile: From the first tab" in refused.text
        newer = re.findall(r'name="version" value="([^"]+)"', refused.text)[0]
        assert (await form(ada, path, {**fields, "version": newer, name: "From the second tab"})).status_code == 303
        shown = (await ada.client.get(path)).text
        assert "From the second tab" in shown and "From the first tab" not in shown


async def test_htmx_is_answered_with_the_part_it_asks_for(network: Network, ada: Person) -> None:
    for number in range(25):
        assert (await network.administrator.post("/posts", {"body": f"Number {number}"})).status_code == 201
    await network.world.settle()
    page = await ada.client.get("/company")
    following = re.findall(r'hx-get="(/company\?page=[^"]+)"', page.text)[0].replace("&amp;", "&")
    part = await ada.client.get(following, headers=HX)
    assert "<html" not in part.text
    assert len(re.findall(r"<article", part.text)) == 5
    whole = await ada.client.get(following)
    assert "<html" in whole.text
    post = re.findall(r'id="post-([0-9a-f-]{36})"', page.text)[0]
    for path, fields, marks in (
        (f"/posts/{post}/reactions", {"emoji": "🎉"}, 'data-emoji="🎉"'),
        (f"/posts/{post}/save", {"save": "1"}, 'aria-pressed="true"'),
        (f"/posts/{post}/replies", {"body": "An answer"}, "An answer"),
        ("/posts", {"body": "By script", "audience": "everyone", "request_id": "r-1"}, "By script"),
    ):
        answer = await form(ada, path, fields, headers=HX)
        assert answer.status_code == 200, (path, answer.text[:300])
        assert marks in answer.text
        assert "<html" not in answer.text
    again = await form(ada, f"/posts/{post}/reactions", {"emoji": "🎉"}, headers=HX)
    assert 'data-emoji="🎉"' not in again.text, "the same emoji again takes it back"
    assert (await form(ada, "/posts", {"body": "By script", "audience": "everyone", "request_id": "r-1"})).status_code == 303
    assert (await ada.client.get("/company")).text.count("By script") == 1, "the same form sent twice is one post"


async def test_a_refused_form_comes_again_with_what_was_typed(network: Network, ada: Person) -> None:
    for fields, marks in (
        ({"body": "", "audience": "everyone"}, "aria-invalid"),
        ({"body": "x" * 50_001, "audience": "everyone"}, "x" * 50_001),
        ({"body": "Typed text", "audience": "people", "people": "Nobody Known"}, "Nobody Known"),
        ({"body": "Typed text", "audience": "nonsense"}, "Typed text"),
        ({"body": "Typed text", "audience": "community:01999999-9999-7999-8999-999999999999"}, "Typed text"),
    ):
        for headers in ({}, HX):
            answer = await form(ada, "/posts", fields, headers=headers)
            assert answer.status_code == 422, fields
            assert marks in answer.text
    old = {"body": "Typed before the session changed", "csrf_token": "old"}
    lost = await ada.client.post("/posts", data=old, headers={"x-csrf-token": ""})
    assert lost.status_code == 403
    assert old["body"] in lost.text


async def test_names_of_any_script_travel_in_addresses(network: Network, ada: Person) -> None:
    followed = await form(ada, "/tags/研磨/follow", {"follow": "1", "return_to": "/tags/研磨?a=%E7%A0%94"})
    assert followed.status_code == 303
    assert followed.headers["location"] == "/tags/%E7%A0%94%E7%A3%A8?a=%E7%A0%94"
    page = await ada.client.get(followed.headers["location"])
    assert page.status_code == 200
    assert 'aria-pressed="true"' in page.text
    assert (await ada.client.get("/tags/%20")).status_code == 404
    assert (await ada.client.get("/people?page=nonsense")).status_code == 400


async def test_guests_see_no_directory(network: Network) -> None:
    guest = await network.browser(await network.person("Gil Guest", roles=("guest",)))
    assert (await guest.client.get("/")).status_code == 200
    for path in ("/people", "/organisation", "/admin/people"):
        assert (await guest.client.get(path)).status_code == 403, path
    assert 'href="/people"' not in (await guest.client.get("/")).text


async def test_who_follows_whom_is_listed_and_followed_from_the_list(network: Network, ada: Person) -> None:
    bo, cy = await network.person("Bo Berg"), await network.person("Cy Cole")
    await bo.put(f"/people/{cy.id}/follow")
    await network.administrator.put(f"/people/{cy.id}/follow")
    await network.world.settle()
    person = (await ada.client.get(f"/people/{cy.id}")).text
    assert f'href="/people/{cy.id}/followers">2 followers<' in person
    assert f'href="/people/{cy.id}/following">follows 0<' in person
    page = (await ada.client.get(f"/people/{cy.id}/followers")).text
    assert re.findall(r'<a class="name" href="/people/([^"]+)"', page) == [ada.id, bo.id], "the newest first"
    assert re.findall(r'<form class="follow" method="post" action="([^"]+)"', page) == [f"/people/{bo.id}/follow"], "not oneself"
    assert "follows nobody yet" in (await ada.client.get(f"/people/{cy.id}/following")).text
    answer = await form(ada, f"/people/{bo.id}/follow", {"follow": "1", "return_to": f"/people/{cy.id}/followers"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/people/{cy.id}/followers")
    await network.world.settle()
    assert 'name="follow" value="0"' in (await ada.client.get(f"/people/{cy.id}/followers")).text
    assert f'href="/people/{cy.id}"' in (await ada.client.get(f"/people/{ada.id}/following")).text
    unknown = "01999999-9999-7999-8999-999999999999"
    assert (await ada.client.get(f"/people/{unknown}/followers")).status_code == 404
    assert (await ada.client.get(f"/people/{cy.id}/followers?page=nonsense")).status_code == 400
    guest = await network.browser(await network.person("Gil Guest", roles=("guest",)))
    for part in ("followers", "following"):
        assert (await guest.client.get(f"/people/{cy.id}/{part}")).status_code == 403
        assert (await guest.client.get(f"/people/{guest.id}/{part}")).status_code == 200
        assert f"/people/{cy.id}/{part}" not in (await guest.client.get(f"/people/{cy.id}")).text


async def test_followers_are_shown_page_by_page(network: Network, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "PEOPLE_A_PAGE", 2)
    fans = [await network.person(name) for name in ("Bo Berg", "Cy Cole", "Di Dorn")]
    for fan in fans:
        await fan.put(f"/people/{ada.id}/follow")
    await network.world.settle()
    page, seen = f"/people/{ada.id}/followers", []
    for expected in (2, 1):
        text = (await ada.client.get(page)).text
        names = re.findall(r'<a class="name" href="/people/([^"]+)"', text)
        assert len(names) == expected
        seen += names
        page = "".join(re.findall(r'hx-get="(/people/[^"]+)"', text)).replace("&amp;", "&")
    assert page == ""
    assert seen == [fan.id for fan in reversed(fans)]


async def test_who_reacted_is_listed_for_those_who_may_read(network: Network, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts, "REACTIONS_A_PAGE", 2)
    bo, cy = await network.person("Bo Berg"), await network.person("Cy Cole")
    named = {"kind": "people", "person_ids": [ada.id, bo.id]}
    post = (await bo.post("/posts", {"body": "Between us.", "audience": named})).json()["id"]
    assert "Nobody has reacted yet" in (await ada.client.get(f"/posts/{post}/reactions")).text
    assert "Who reacted" not in (await ada.client.get(f"/posts/{post}")).text
    for who, emoji in ((bo, "👍"), (network.administrator, "👍"), (network.administrator, "🎉")):
        assert (await who.post(f"/posts/{post}/reactions", {"emoji": emoji})).status_code == 200
    await network.world.settle()
    assert f'href="/posts/{post}/reactions"' in (await ada.client.get(f"/posts/{post}")).text
    row = r'<li class="person-row reaction-row">.*?href="/people/([^"]+)".*?<span class="emoji">([^<]+)</span></li>'
    first = (await ada.client.get(f"/posts/{post}/reactions")).text
    assert re.findall(row, first, re.DOTALL) == [(ada.id, "🎉"), (ada.id, "👍")]
    following = re.findall(r'hx-get="(/posts/[^"]+)"', first)[0].replace("&amp;", "&")
    assert re.findall(row, (await ada.client.get(following)).text, re.DOTALL) == [(bo.id, "👍")]
    thumbs = (await ada.client.get(f"/posts/{post}/reactions", params={"emoji": "👍"})).text
    assert re.findall(row, thumbs, re.DOTALL) == [(ada.id, "👍"), (bo.id, "👍")]
    assert re.findall(r'aria-current="page"><span class="emoji">([^<]+)<', thumbs) == ["👍"]
    assert "Nobody reacts with this emoji any more" in (await ada.client.get(f"/posts/{post}/reactions", params={"emoji": "🦄"})).text
    stranger = await network.browser(cy)
    assert (await stranger.client.get(f"/posts/{post}/reactions")).status_code == 404
    assert (await bo.delete(f"/posts/{post}")).status_code in (200, 204)
    assert (await ada.client.get(f"/posts/{post}/reactions")).status_code == 404


async def test_the_organisation_is_renamed_by_administrators_only(network: Network, ada: Person) -> None:
    assert 'value="Example Waterworks"' in (await ada.client.get("/admin/organisation")).text
    refused = await form(ada, "/admin/organisation", {"name": "x" * 201})
    assert refused.status_code == 422
    assert "x" * 201 in refused.text and 'id="name-error"' in refused.text
    assert (await form(ada, "/admin/organisation", {"name": " "})).status_code == 422
    done = await form(ada, "/admin/organisation", {"name": "Deep Wells"})
    assert (done.status_code, done.headers["location"]) == (303, "/admin/organisation")
    assert '<span class="brand-name">Deep Wells</span>' in (await ada.client.get("/")).text
    assert (await network.anybody.get("/organization")).json()["name"] == "Deep Wells"
    bo = await network.browser(await network.person("Bo Berg"))
    assert (await bo.client.get("/admin/organisation")).status_code == 403
    assert (await form(bo, "/admin/organisation", {"name": "Mine"})).status_code == 403
    assert (await network.anybody.get("/organization")).json()["name"] == "Deep Wells"


async def test_the_settings_say_what_is_kept_where(ada: Person) -> None:
    page = (await ada.client.get("/settings/appearance")).text
    assert "are kept in this browser" in page
    assert "The time zone is kept with your profile" in page


async def test_built_files_are_kept_for_ever_and_packed(network: Network) -> None:
    client = network.anybody.client
    names = [name for name in assets._assets if name.endswith((".js", ".css"))]
    if not names:
        assert (await client.get("/assets/app.css")).status_code == 503
        pytest.skip("the web interface is not built: make assets")
    for name in names:
        for encoding in ("br", "gzip"):
            answer = await client.get(f"/assets/{name}", headers={"accept-encoding": encoding})
            assert answer.headers["content-encoding"] == encoding
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        plain = await client.get(f"/assets/{name}", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content
    assert (await client.get("/assets/../service.py")).status_code == 404
    assert (await client.get("/assets/nothing.css")).status_code == 404


async def test_pages_are_packed_where_the_browser_can_unpack(network: Network, ada: Person) -> None:
    packed = await ada.client.get("/design", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["vary"]
    plain = await ada.client.get("/design", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers


async def test_an_access_token_opens_no_page(network: Network) -> None:
    answer = await network.administrator.client.get("/")
    assert answer.status_code == 403


# --- the small parts --------------------------------------------------------------------------------------------------


def test_what_was_found_is_marked_and_everything_else_escaped() -> None:
    fragment = search.Fragment(text='<b>pump</b> & "more"', highlights=[search.Span(start=3, end=7)])
    assert convert.marked(fragment) == "&lt;b&gt;<mark>pump</mark>&lt;/b&gt; &amp; &#34;more&#34;"
    assert convert.marked(search.Fragment(text="<script>")) == "&lt;script&gt;"


def test_what_changed_between_two_texts_is_marked_and_escaped() -> None:
    shown = difference("Lunch is at <noon>.", "Lunch is at one.\nBring <b>.")
    assert shown.startswith("<p>Lunch is at <del>&lt;noon&gt;.</del><ins>one.")
    assert "<b>" not in shown
    assert "<br>" in shown
    assert difference("a " * 5_000, "b " * 5_000) == ""


def test_devices_are_named() -> None:
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
    assert convert.device(firefox) == "Firefox, Linux"
    assert convert.device("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Version/17.0 Safari/604.1") == "Safari, iPhone"
    assert convert.device("own-program/1.0") == "own-program/1.0"
    assert convert.device("") == "?"


def test_a_directory_file_is_read_by_the_usual_names() -> None:
    header = "\ufeffName;E-Mail;Job Title;Reports to;Languages;Phone\n"
    content = header + 'Mei Tanaka;mei@x.example;"Lead; lenses";ada@x.example;ja, en;+81 1234567\n\n'
    (record,) = directory_file.read(content.encode(), "csv").records
    assert record.place == "line 2"
    assert (record.profile.name, record.profile.title) == ("Mei Tanaka", "Lead; lenses")
    assert (record.manager_key, record.has_manager) == ("ada@x.example", True)
    assert list(record.profile.languages) == ["ja", "en"]
    assert record.profile.contact["Phone"] == "+81 1234567"
    assert sorted(record.fields) == ["contact", "email", "languages", "name", "title"]
    lines = b'{"fullName": "Bo Berg", "email": "bo@x.example", "languages": ["sv"], "left": true}\n'
    (bo,) = directory_file.read(lines, "jsonl").records
    assert (bo.profile.name, bo.left, list(bo.profile.languages)) == ("Bo Berg", True, ["sv"])
    german = "Vorname;Nachname;E-Mail;Abteilung;Eintritt\nJürgen;Groß;jg@x.example;Räte;1.2.2020\n"
    (one,) = directory_file.read(german.encode(), "csv").records
    assert (one.profile.name, one.profile.department, one.profile.start_date) == ("Jürgen Groß", "Räte", "2020-02-01")


def test_bad_lines_of_a_directory_file_are_told_and_the_others_go_in() -> None:
    text = 'Name,E-mail\nAda,ada@x.example\nBo\nToo,many,cells\n"Eve"x,e@x\nADA,ADA@X.example\nZoe,zoe@x.example\n'
    found = directory_file.read(text.encode(), "csv")
    assert [each.profile.name for each in found.records] == ["Ada", "Zoe"]
    assert [line for line, _ in found.refused] == [3, 4, 5, 6]
    assert found.refused[3][1] == "This is the same person as in line 2: keep one of the two."
    lines = '{"name": "Ada"}\nnot json\n[1]\n' + "[" * 100_000 + '\n{"name": "Bo\\ud800"}\n'
    found = directory_file.read(lines.encode(), "jsonl")
    assert [each.place for each in found.records] == ["line 1", "line 5"]
    assert [line for line, _ in found.refused] == [2, 3, 4]


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (b"", "csv", "names no field"),
        (b"Name,E-mail\n", "csv", "no records"),
        (b"Colour,Size\nred,4\n", "csv", "names no field"),
        ("Name,E-mail\nAda,ada\xe4@x\n".encode("latin-1"), "csv", "line 2"),
        (b'Name,E-mail\n"Ada,ada@x.example\n', "csv", "Line"),
        (b"not json\n", "jsonl", "Line 1"),
        (b"[1]\n", "jsonl", "no JSON object"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(content: bytes, kind: str, says: str) -> None:
    with pytest.raises(directory_file.FileRefused, match=says):
        directory_file.read(content, kind)


