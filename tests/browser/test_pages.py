"""What the pages do in a browser, over the samples of samples.py: the answers of the network are played by routes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from services.gateway import views as v
from services.gateway.rendering import Renderer
from tests.browser import samples
from tests.browser.screenshots import ASSETS, CHROMIUM, findings, serve, write_site

CHROMIUM_PATH = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM_PATH is None, reason="no Chromium is installed"),
    pytest.mark.skipif(not (ASSETS / "dist" / "manifest.json").exists(), reason="the assets are not built: make assets"),
]
RENDERER = Renderer(ASSETS / "dist")
NAMES = [name for name, _ in samples.pages()]
NEW = samples.PRIVATE


def _event(kind: str, data: dict[str, Any], number: int) -> str:
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


class Network:
    """Plays the server behind a page: keeps what was asked and answers as told."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[tuple[str, str]] = []
        page.route(re.compile(r"/(posts|live|search|people|api)(/|\?|$)"), self._answer)
        self.replies: dict[str, tuple[int, str]] = {}
        self.stream = ""
        self.api: dict[str, Any] = {}

    def _answer(self, route: Route) -> None:
        request = route.request
        path = re.sub(r"^https?://[^/]+", "", request.url)
        self.asked.append((f"{request.method} {path}", request.post_data or ""))
        if path.startswith("/live/register"):
            route.fulfill(json={"queue": "q1", "position": 9})
        elif path.startswith("/api/"):
            route.fulfill(json=self.api)
        elif path.startswith("/live"):
            body, self.stream = self.stream, ""
            route.fulfill(content_type="text/event-stream", body="retry: 100\n\n" + body)
        else:
            for pattern, (status, body) in self.replies.items():
                if re.match(pattern, f"{request.method} {path}"):
                    route.fulfill(status=status, content_type="text/html", body=body)
                    return
            route.fulfill(status=500, body="")

    def sent(self, start: str) -> list[str]:
        return [body for line, body in self.asked if line.startswith(start)]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("site")
    write_site(folder / "html", [])
    (folder / "html" / "live.html").write_text(
        RENDERER.render(
            v.HomePage(shell=samples.shell("/live.html", live_position=7, now=None), page=samples.PAGE, compose=samples.COMPOSE)
        ),
        encoding="utf-8",
    )
    (folder / "html" / "live-thread.html").write_text(
        RENDERER.render(
            v.ThreadPage(shell=samples.shell("/live-thread.html", live_position=7), root=samples.THREAD, compose=v.ComposeView())
        ),
        encoding="utf-8",
    )
    server = serve(folder / "html")
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM_PATH, args=CHROMIUM)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(5000)
    yield context.new_page()
    context.close()


def _fragment(view: v.Fragment) -> str:
    return RENDERER.render(view)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, address: str, scheme: Any) -> None:
    axe = (ASSETS / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    context = browser.new_context(viewport={"width": 1280 if scheme == "light" else 360, "height": 900}, color_scheme=scheme)
    shown = context.new_page()
    messages: list[str] = []
    shown.on("console", lambda message: messages.append(message.text) if "Content Security Policy" in message.text else None)
    found = []
    for name in NAMES:
        shown.goto(f"{address}/{name}.html")
        found += [f"{name}: {line}" for line in findings(shown, axe, "color-contrast" if scheme == "dark" else "")]
        assert shown.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), f"{name} scrolls sideways"
    context.close()
    assert found == []
    assert messages == []


def test_a_post_is_sent_and_shown_at_once(page: Page, address: str) -> None:
    network = Network(page)
    network.replies[r"POST /posts$"] = (200, _fragment(v.PostFragment(shell=samples.shell("/"), post=NEW)))
    page.goto(f"{address}/home-empty.html")
    box = page.get_by_label("Write a post")
    box.fill("Draft figures for Thursday")
    first_id = page.locator("#compose [name=request_id]").input_value()
    box.press("Control+Enter")
    expect(page.locator(f"#posts #post-{NEW.id}")).to_be_focused()
    expect(box).to_have_value("")
    expect(page.locator("#posts .empty")).to_have_count(0)
    assert "Draft figures for Thursday" in network.sent("POST /posts")[0]
    assert page.locator("#compose [name=request_id]").input_value() != first_id
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('draft:'))") == []


def test_a_refused_post_keeps_its_text_and_names_the_field(page: Page, address: str) -> None:
    network = Network(page)
    network.replies[r"POST /posts$"] = (422, RENDERER.render(v.ComposePage(shell=samples.shell("/posts"), compose=samples.REFUSED)))
    page.goto(f"{address}/home.html")
    page.get_by_label("Write a post").fill("The figures for Thursday, before they go round.")
    page.locator("#compose").get_by_role("button", name="Post", exact=True).click()
    expect(page.locator("#compose [role=alert]")).to_be_focused()
    expect(page.get_by_label("Write a post")).to_have_value("The figures for Thursday, before they go round.")
    expect(page.locator("#compose-people")).to_have_attribute("aria-invalid", "true")


def test_what_does_not_reach_the_server_is_kept_also_over_a_closed_tab(page: Page, address: str) -> None:
    Network(page)
    page.goto(f"{address}/home.html")
    page.get_by_label("Write a post").fill("Kept")
    page.locator("#compose").get_by_role("button", name="Post", exact=True).click()
    expect(page.locator(".toast.bad")).to_contain_text("What you typed is kept")
    expect(page.get_by_label("Write a post")).to_have_value("Kept")
    page.goto(f"{address}/people.html")
    page.goto(f"{address}/home.html")
    expect(page.get_by_label("Write a post")).to_have_value("Kept")
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_label("Write a post")).to_have_value("")


def test_a_reaction_shows_at_once_and_is_taken_back_when_refused(page: Page, address: str) -> None:
    network = Network(page)
    page.goto(f"{address}/home.html")
    chip = page.locator(f"#post-{samples.ANNOUNCEMENT.id} .chip", has_text="👏")
    chip.click()
    expect(page.locator(".toast.bad")).to_be_visible()
    expect(chip).to_have_attribute("aria-pressed", "false")
    expect(chip.locator("b")).to_have_text("17")
    more = v.PostView(
        **{
            **{field: getattr(samples.ANNOUNCEMENT, field) for field in samples.ANNOUNCEMENT.__struct_fields__},
            "reactions": [v.ReactionView(emoji="👏", count=18, is_mine=True)],
        }
    )
    network.replies[r"POST /posts/[^/]+/reactions"] = (200, _fragment(v.PostFragment(shell=samples.shell("/"), post=more)))
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")
    expect(chip.locator("b")).to_have_text("18")
    expect(chip).to_be_focused()
    assert "emoji=%F0%9F%91%8F" in network.sent("POST /posts")[-1]


def test_an_emoji_is_chosen_by_keyboard(page: Page, address: str) -> None:
    network = Network(page)
    page.goto(f"{address}/home.html")
    page.keyboard.press("j")
    expect(page.locator(f"#post-{samples.ANNOUNCEMENT.id}")).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator(f"#post-{samples.QUESTION.id}")).to_be_focused()
    page.keyboard.press("l")
    menu = page.locator(f"#react-{samples.QUESTION.id}")
    expect(menu).to_be_visible()
    expect(menu.locator("button").first).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    assert network.sent("POST") == []


def test_new_posts_wait_behind_a_pill_and_counts_change_in_place(page: Page, address: str) -> None:
    network = Network(page)
    network.api = {"reply_count": 8, "reactions": [{"emoji": "💡", "count": 2}]}
    network.stream = (
        _event(
            "post",
            {"post_id": samples._id(999), "root_id": "", "author_id": "a", "community_id": "", "tags": [], "home": True, "position": 8},
            1,
        )
        + _event(
            "post",
            {
                "post_id": samples._id(998),
                "root_id": "",
                "author_id": "a",
                "community_id": "c",
                "tags": ["other"],
                "home": False,
                "position": 9,
            },
            2,
        )
        + _event("counts", {"post_id": samples.QUESTION.id, "position": 10}, 3)
        + _event("deleted", {"post_id": samples.ARABIC.id, "position": 10}, 4)
        + _event("notification", {"unread_count": 12, "position": 11}, 5)
    )
    page.goto(f"{address}/live.html")
    expect(page.locator(".pill")).to_have_text("1 new")
    question = page.locator(f"#post-{samples.QUESTION.id}")
    expect(question.locator("[data-replies]")).to_have_text("8")
    expect(question.locator(".chip", has_text="💡")).to_contain_text("2")
    expect(question.locator(".chip", has_text="👀")).to_be_hidden()
    expect(page.locator(".bell [data-unread-count]")).to_have_text("12")
    expect(page).to_have_title(re.compile(r"^\(12\) "))
    expect(page.locator(f"#post-{samples.ARABIC.id}")).to_have_text("This post was deleted.")
    assert network.sent("GET /live/register?after=7")
    fresh = samples._post(999, samples.TESS, "<p>Just now.</p>", samples.EVERYONE, samples.NOW)
    newer = v.PostPage(posts=[fresh, *samples.POSTS], live_scope="following")
    body = RENDERER.render(v.HomePage(shell=samples.shell("/live.html"), page=newer, compose=samples.COMPOSE))
    page.route("**/live.html", lambda route: route.fulfill(content_type="text/html", body=body))
    page.locator(".pill").click()
    expect(page.locator(f"#post-{fresh.id}")).to_be_focused()
    expect(page.locator(".pill")).to_have_count(0)


def test_a_reply_goes_under_what_it_answers(page: Page, address: str) -> None:
    network = Network(page)
    reply = samples._reply(950, samples.ROSA, "<p>Thank you.</p>", samples.NOW)
    network.replies[r"POST /posts/[^/]+/replies"] = (200, _fragment(v.ReplyFragment(shell=samples.shell("/"), post=reply)))
    page.goto(f"{address}/live-thread.html")
    answered = samples.THREAD.replies[0]
    page.locator(f"#post-{answered.id} [data-reply]").click()
    box = page.get_by_label("Write a reply")
    expect(box).to_be_focused()
    expect(page.locator(".replying")).to_contain_text(answered.author.name)
    box.fill("Thank you.")
    box.press("Control+Enter")
    expect(page.locator(f"#replies-{answered.id} > .branch > #post-{reply.id}")).to_be_focused()
    assert "Thank you." in network.sent(f"POST /posts/{answered.id}/replies")[0]
    expect(page.locator("[data-reply-home] #reply")).to_have_count(1)


def test_deleting_can_be_undone_for_ten_seconds(page: Page, address: str) -> None:
    network = Network(page)
    network.replies[r"POST /posts/[^/]+/delete"] = (200, "")
    page.clock.install()
    page.goto(f"{address}/home.html")
    post = page.locator(f"#post-{samples.QUESTION.id}")

    def delete() -> None:
        post.get_by_label("More about this post").click()
        page.get_by_role("link", name="Delete").click()

    delete()
    expect(post).to_be_hidden()
    page.get_by_role("button", name="Undo").press("Enter")
    expect(post).to_be_visible()
    page.clock.fast_forward(11_000)
    assert network.sent("POST") == []
    delete()
    expect(post).to_be_hidden()
    with page.expect_request(re.compile(r"/delete$")):
        page.clock.fast_forward(11_000)
    expect(post).to_have_count(0)


def test_people_are_offered_while_one_types(page: Page, address: str) -> None:
    network = Network(page)
    network.replies[r"GET /search/suggest"] = (
        200,
        _fragment(v.SuggestFragment(shell=samples.shell("/"), query="nad", people=[samples.NADIA], communities=[samples.COATINGS])),
    )
    network.replies[r"GET /people/"] = (200, "<title>Nadia</title>")
    page.goto(f"{address}/home.html")
    page.keyboard.press("/")
    search = page.get_by_role("combobox", name="Search people, communities and posts")
    expect(search).to_be_focused()
    page.keyboard.type("nad")
    expect(page.locator("#suggestions")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(search).to_have_attribute("aria-activedescendant", "s-p-1")
    page.keyboard.press("Escape")
    expect(page.locator("#suggestions")).to_be_hidden()
    box = page.get_by_label("Write a post")
    box.click()
    page.keyboard.type("Ask @nad")
    expect(page.locator(".compose-text .option")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value("Ask @nadia.benkirane ")
    search.fill("nadi")
    expect(page.locator("#suggestions")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(samples.NADIA.url))


def test_the_chart_is_walked_by_arrow_keys(page: Page, address: str) -> None:
    page.goto(f"{address}/organization.html")
    page.locator(".chart-box.is-centre").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(f".chart-managers [href='/organisation/{samples.NADIA.id}']")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(f".chart-reports > li > [href='/organisation/{samples.TESS.id}']")).to_be_focused()


def test_the_keys_are_shown_and_can_be_switched_off(page: Page, address: str) -> None:
    page.goto(f"{address}/home.html")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Single keys act on this device").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("j")
    expect(page.locator(".post.is-here")).to_have_count(0)


def test_the_first_page_keeps_within_its_budget(address: str) -> None:
    dist = ASSETS / "dist"
    script = sum(path.stat().st_size for path in dist.glob("app-*.js.gz"))
    style = sum(path.stat().st_size for path in dist.glob("app-*.css.gz"))
    assert 10_000 < script <= 30_000
    assert script + style <= 60_000
