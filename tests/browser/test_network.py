"""What a person does, in a real browser on a real network."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.browser.network import AXE, CHROMIUM, PASSWORD, Administrator, Network, findings, overflow, sign_in, start_network, watch

CHROMIUM_PATH = shutil.which("chromium") or shutil.which("google-chrome")
BUILT = (Path(AXE).parents[2] / "dist" / "manifest.json").exists() and AXE.exists()
CI = os.environ.get("CI", "").lower() in ("1", "true")
# A build machine that lacks the browser fails; anywhere else the tests are left out and say so.
pytestmark = pytest.mark.skipif(
    not CI and (CHROMIUM_PATH is None or not BUILT), reason="no Chromium is installed, or the web interface is not built: make dev"
)
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class World:
    """A network with some people, and a browser context for each."""

    network: Network
    admin: Administrator
    browser: Browser
    people: dict[str, tuple[str, str]]
    complaints: list[str]

    def path(self, path: str) -> str:
        return self.network.address + path

    def context(self, name: str = "", **options: object) -> BrowserContext:
        """A browser of its own; signed in where a person is named."""
        context = self.browser.new_context(viewport={"width": 1280, "height": 900}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        watch(context, self.complaints)
        if name:
            sign_in(context.new_page(), self.network.address, self.email(name))
        return context

    def email(self, name: str) -> str:
        return self.admin.email if name == "Ada Winter" else self.people[name][1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM_PATH, args=CHROMIUM)
        yield running
        running.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[World]:
    network = start_network(tmp_path_factory.mktemp("network"))
    try:
        admin = Administrator(network)
        people = {
            name: admin.add(name, **fields)
            for name, fields in {
                "Mei Tanaka": {"title": "Quality engineer", "department": "Quality", "location": "Nagoya", "manager_id": admin.id},
                "Jonas Weber": {"title": "Toolmaker", "department": "Workshop", "location": "Ulm", "manager_id": admin.id},
                "Oskar Lindqvist": {"title": "Buyer", "department": "Purchasing"},
                "Rosa Almeida": {"title": "Planner", "department": "Projects"},
            }.items()
        }
        yield World(network, admin, browser, people, [])
    finally:
        network.stop()


@pytest.fixture
def open_as(world: World) -> Iterator[Callable[..., Page]]:
    """A page of a person in a browser of its own, closed after the test."""
    opened: list[BrowserContext] = []

    def open_page(name: str = "", path: str = "", **options: object) -> Page:
        context = world.context(name, **options)
        opened.append(context)
        page = context.pages[0] if context.pages else context.new_page()
        if path:
            page.goto(world.path(path))
        return page

    yield open_page
    for context in opened:
        context.close()


@pytest.fixture(autouse=True)
def no_complaints(world: World) -> Iterator[None]:
    """No test leaves a broken policy or a script error behind; refused forms say so on the console, and are meant to."""
    world.complaints.clear()
    yield
    meant = re.compile(r"status of (401|403|404|409|413|422|429)|net::ERR_|ERR_INCOMPLETE_CHUNKED")
    assert [line for line in world.complaints if not meant.search(line)] == []


OpenAs = Callable[..., Page]


def write(page: Page, text: str) -> None:
    page.get_by_label("Write a post").fill(text)
    page.get_by_role("button", name="Post", exact=True).click()


# --- coming in --------------------------------------------------------------------------------------------------------


def test_set_up_and_first_sign_in(tmp_path: Path, browser: Browser) -> None:
    network = start_network(tmp_path)
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    try:
        page = context.new_page()
        page.goto(f"{network.address}/people?q=somebody")
        expect(page).to_have_url(f"{network.address}/setup")
        assert findings(page) == []
        page.get_by_label("Name of the organisation").fill("Field Station 4")
        page.get_by_label("Your name").fill("Idris Bello")
        page.get_by_label("Your e-mail address").fill("idris@example.com")
        page.get_by_label("Password").fill("password1234")
        page.get_by_role("button", name="Start").click()
        expect(page.locator("#password-error")).to_contain_text("guessed")
        expect(page.get_by_label("Your name")).to_have_value("Idris Bello")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Start").click()
        expect(page).to_have_url(f"{network.address}/")
        expect(page.get_by_text("Welcome. Invite people")).to_be_visible()
        expect(page.get_by_role("link", name="Administration").first).to_be_visible()
        page.goto(f"{network.address}/setup")
        expect(page).to_have_url(f"{network.address}/")
    finally:
        context.close()
        network.stop()


def test_sign_in_goes_where_one_wanted_to_and_nowhere_else(world: World, open_as: OpenAs) -> None:
    page = open_as("", "/people?q=mei")
    assert "/sign-in?next=/people" in page.url
    page.get_by_label("E-mail address").fill(world.email("Mei Tanaka"))
    page.get_by_label("Password").fill("wrong-password-here")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not right")
    expect(page.get_by_label("E-mail address")).to_have_value(world.email("Mei Tanaka"))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(world.path("/people?q=mei"))
    page.locator(".rail-foot").get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(world.path("/sign-in"))
    for outside in ("https://example.com/", "//example.com/", "/\\example.com"):
        page.goto(world.path("/sign-in?next=") + outside)
        assert page.locator("input[name=next]").get_attribute("value") == "/"


def test_an_invited_person_chooses_a_password(world: World, open_as: OpenAs) -> None:
    page = open_as("Ada Winter", "/admin/invite")
    page.get_by_label("E-mail address").fill("noor.haddad@example.com")
    page.get_by_label("Name", exact=True).fill("Noor Haddad")
    page.get_by_label("Manager").fill("Nobody Atall")
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.locator("#manager-error")).to_be_visible()
    page.get_by_label("Manager").fill("@mei.tanaka")
    page.get_by_role("button", name="Invite", exact=True).click()
    link = page.get_by_label("Invitation link").input_value()
    guest = open_as()
    guest.goto(link)
    expect(guest.get_by_text("noor.haddad@example.com")).to_be_visible()
    guest.get_by_label("Password").fill(PASSWORD)
    guest.get_by_label("The same again").fill(PASSWORD + "x")
    guest.get_by_role("button", name="Come in").click()
    expect(guest.locator("#password_again-error")).to_be_visible()
    guest.get_by_label("Password").fill(PASSWORD)
    guest.get_by_label("The same again").fill(PASSWORD)
    guest.get_by_role("button", name="Come in").click()
    expect(guest).to_have_url(world.path("/"))
    again = open_as()
    again.goto(link)
    expect(again.get_by_role("heading", name="This invitation has expired")).to_be_visible()


def test_a_device_is_signed_out_by_its_owner(world: World, open_as: OpenAs) -> None:
    first, second = open_as("Rosa Almeida"), open_as("Rosa Almeida", "/settings/sessions")
    second.get_by_role("button", name="Sign out all others").click()
    expect(second.get_by_text("All other devices are signed out.")).to_be_visible()
    first.goto(world.path("/saved"))
    assert "/sign-in" in first.url
    second.goto(world.path("/saved"))
    assert second.url == world.path("/saved")


def test_a_leaver_is_signed_out_at_once(world: World, open_as: OpenAs) -> None:
    person_id, _ = world.people["Oskar Lindqvist"]
    leaver = open_as("Oskar Lindqvist", "/company")
    page = open_as("Ada Winter", "/admin/people?q=lindqvist")
    page.get_by_role("button", name="What can be done with Oskar Lindqvist").click()
    page.get_by_role("button", name="Has left the company").click()
    expect(page.get_by_text("signed out everywhere")).to_be_visible()
    leaver.reload()
    assert "/sign-in" in leaver.url
    page.goto(world.path(f"/people/{person_id}"))
    expect(page.get_by_text("Left the company")).to_be_visible()


# --- reading and writing ----------------------------------------------------------------------------------------------


def test_post_reply_react_and_save(world: World, open_as: OpenAs) -> None:
    page = open_as("Mei Tanaka", "/company")
    write(page, "The **first** lens of series 7 is ground. #series7")
    article = page.locator("article.post", has_text="series 7 is ground")
    expect(article.locator("strong")).to_have_text("first")
    article.get_by_role("button", name="React").click()
    article.get_by_role("button", name="Hooray").click()
    expect(article.locator(".chip[data-emoji='🎉']")).to_have_attribute("aria-pressed", "true")
    article.get_by_role("button", name="Save").click()
    expect(article.locator("button.save")).to_have_attribute("aria-pressed", "true")
    article.locator(".permalink").click()
    page.wait_for_url(re.compile("/posts/"))
    page.get_by_label("Write a reply").fill("Coating follows on Thursday.")
    page.get_by_role("button", name="Reply", exact=True).click()
    expect(page.locator(".replies-root article.post")).to_contain_text("Coating follows on Thursday.")
    page.reload()
    expect(page.locator(".replies-root article.post")).to_have_count(1)
    expect(page.locator(".post-root .chip[data-emoji='🎉'] [data-count]")).to_have_text("1")
    page.goto(world.path("/saved"))
    expect(page.locator("article.post")).to_contain_text("series 7 is ground")
    page.goto(world.path("/tags/series7"))
    expect(page.get_by_role("heading", name="#series7")).to_be_visible()
    expect(page.locator("article.post")).to_have_count(1)


def test_that_one_has_read_a_post_is_said_and_counted(world: World, open_as: OpenAs) -> None:
    post_id = world.admin.post("The evacuation plan has changed: please confirm.")
    page = open_as("Jonas Weber", f"/posts/{post_id}")
    page.get_by_role("button", name="More about this post").click()
    page.get_by_role("button", name="I have read this").click()
    expect(page.locator(".post-root")).to_contain_text("You have read this")
    other = open_as("Rosa Almeida", f"/posts/{post_id}")
    expect(other.locator(".post-root")).to_contain_text("1 person has confirmed")
    other.get_by_role("button", name="I have read this").click()
    expect(other.locator(".post-root")).to_contain_text("2 people have confirmed")


def test_an_image_is_uploaded_with_its_description(world: World, open_as: OpenAs) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (640, 360), (20, 90, 110)).save(picture, "PNG")
    page = open_as("Mei Tanaka", "/company")
    page.get_by_label("Write a post").fill("The new polishing plate.")
    page.get_by_role("button", name="Add an image").click()
    page.get_by_label("Image", exact=True).set_input_files({"name": "plate.png", "mimeType": "image/png", "buffer": picture.getvalue()})
    page.get_by_role("button", name="Post", exact=True).click()
    expect(page.locator("[id$=image_description-error], [id$=image-description-error]").first).to_be_visible()
    expect(page.get_by_label("Write a post")).to_have_value("The new polishing plate.")
    page.get_by_label("Image", exact=True).set_input_files({"name": "plate.png", "mimeType": "image/png", "buffer": picture.getvalue()})
    page.get_by_label("Description, for those").fill("A round plate of petrol colour")
    page.get_by_role("button", name="Post", exact=True).click()
    shown = page.get_by_role("img", name="A round plate of petrol colour")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640


def test_a_refused_post_keeps_everything_typed(world: World, open_as: OpenAs) -> None:
    page = open_as("Mei Tanaka", "/compose")
    page.get_by_label("Write a post").fill("For your eyes only.")
    page.get_by_label("Who may see it").select_option("people")
    page.get_by_role("textbox", name="Named people").fill("Somebody Unknown")
    page.get_by_role("button", name="Post", exact=True).click()
    expect(page.locator("[id$=people-error]")).to_contain_text("Somebody Unknown")
    expect(page.get_by_label("Write a post")).to_have_value("For your eyes only.")
    page.get_by_role("textbox", name="Named people").fill("@jonas")
    page.get_by_role("option", name=re.compile("Jonas Weber")).click()
    expect(page.get_by_role("textbox", name="Named people")).to_have_value("@jonas.weber, ")
    page.get_by_role("button", name="Post", exact=True).click()
    page.wait_for_url(re.compile(r"/posts/[0-9a-f-]{36}$"))
    expect(page.locator("article.post-root")).to_contain_text("For your eyes only.")
    other = open_as("Jonas Weber", "/notifications")
    expect(other.get_by_text("For your eyes only.")).to_be_visible()
    third = open_as("Rosa Almeida", "/search?q=eyes")
    expect(third.get_by_text("Nothing found")).to_be_visible()


def test_two_edits_at_once_lose_nothing(world: World, open_as: OpenAs) -> None:
    post_id = world.admin.post("Lunch is at noon.")
    first, second = (open_as("Ada Winter", f"/posts/{post_id}/edit") for _ in range(2))
    first.get_by_label("Your text").fill("Lunch is at half past twelve.")
    first.get_by_role("button", name=re.compile("^Save")).click()
    expect(first.get_by_text("Saved.")).to_be_visible()
    second.get_by_label("Your text").fill("Lunch is at one.")
    second.get_by_role("button", name=re.compile("^Save")).click()
    expect(second.get_by_label("Your text")).to_have_value("Lunch is at one.")
    expect(second.get_by_label("Saved meanwhile")).to_have_value("Lunch is at half past twelve.")
    assert findings(second) == []
    second.get_by_role("button", name="Save my text").click()
    second.wait_for_url(re.compile(rf"/posts/{post_id}#"))
    expect(second.locator(".post-root")).to_contain_text("Lunch is at one.")
    second.goto(world.path(f"/posts/{post_id}/history"))
    expect(second.locator(".history-version")).to_have_count(3)
    expect(second.locator(".history-version ins").first).to_contain_text("one.")


def test_a_deleted_post_leaves_a_note_in_its_thread(world: World, open_as: OpenAs) -> None:
    post_id = world.admin.post("This will be taken back.")
    page = open_as("Ada Winter", f"/posts/{post_id}/delete", java_script_enabled=False)
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("Deleted.")).to_be_visible()
    page.goto(world.path(f"/posts/{post_id}"))
    expect(page.get_by_text("This post was deleted.")).to_be_visible()
    expect(page.get_by_text("This will be taken back.")).to_have_count(0)


def test_everything_works_without_script(world: World, open_as: OpenAs) -> None:
    page = open_as("Jonas Weber", "/company", java_script_enabled=False)
    write(page, "Written without script.")
    expect(page.get_by_text("Posted.")).to_be_visible()
    article = page.locator("article.post", has_text="Written without script.")
    article.get_by_role("button", name="Save").click()
    expect(page.get_by_text("It waits for you under Saved.")).to_be_visible()
    page.locator("article.post", has_text="Written without script.").locator(".permalink").click()
    page.get_by_label("Write a reply").fill("Answered without script.")
    page.get_by_role("button", name="Reply", exact=True).click()
    expect(page.locator(".replies-root")).to_contain_text("Answered without script.")
    page.get_by_label("Write a reply").fill("x" * 9_999)
    page.goto(world.path("/people?q=tanaka"))
    page.get_by_role("button", name=re.compile("Follow.*Mei Tanaka")).click()
    expect(page.get_by_role("button", name=re.compile("Following.*Mei Tanaka"))).to_be_visible()
    page.get_by_role("button", name=re.compile("Following.*Mei Tanaka")).click()


def test_a_draft_survives_a_closed_tab(world: World, open_as: OpenAs) -> None:
    page = open_as("Rosa Almeida", "/company")
    page.get_by_label("Write a post").fill("Half a thought")
    kept = "() => (localStorage.getItem('draft:/posts') ?? '').includes('Half a thought')"
    for _ in range(100):
        if page.evaluate(kept):
            break
        page.wait_for_timeout(50)
    context = page.context
    page.close()
    again = context.new_page()
    again.goto(world.path("/company"))
    expect(again.get_by_label("Write a post")).to_have_value("Half a thought")
    write(again, "Half a thought, finished.")
    expect(again.locator("article.post").first).to_contain_text("finished")
    again.goto(world.path("/company"))
    expect(again.get_by_label("Write a post")).to_have_value("")


def test_the_keyboard_reaches_everything(world: World, open_as: OpenAs) -> None:
    world.admin.post("Second to be read by keyboard.")
    world.admin.post("First to be read by keyboard.")
    page = open_as("Ada Winter", "/company")
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name=re.compile("Search people"))).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("body").click(position={"x": 5, "y": 5})
    page.keyboard.press("j")
    expect(page.locator("article.post:focus")).to_contain_text("First to be read")
    page.keyboard.press("j")
    expect(page.locator("article.post:focus")).to_contain_text("Second to be read")
    page.keyboard.press("k")
    expect(page.locator("article.post:focus")).to_contain_text("First to be read")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.get_by_label("Write a post")).to_be_focused()
    page.get_by_label("Write a post").blur()
    page.keyboard.press("g")
    page.keyboard.press("n")
    page.wait_for_url(world.path("/notifications"))


# --- people and communities -------------------------------------------------------------------------------------------


def test_a_person_is_found_by_a_misspelt_name_and_followed(world: World, open_as: OpenAs) -> None:
    person_id, _ = world.people["Mei Tanaka"]
    page = open_as("Rosa Almeida", "/people")
    page.get_by_label("Name, title or what they do").press_sequentially("mei tanka")
    expect(page.locator("#people .person-row")).to_have_count(1)
    expect(page.locator("#people .person-row")).to_contain_text("Mei Tanaka")
    page.keyboard.press("/")
    page.get_by_role("combobox", name=re.compile("Search people")).fill("Tanakka")
    option = page.get_by_role("option", name=re.compile("Mei Tanaka"))
    expect(option).to_be_visible()
    option.click()
    page.wait_for_url(world.path(f"/people/{person_id}"))
    page.locator(".person-head").get_by_role("button", name=re.compile("Follow")).click()
    expect(page.locator(".person-head").get_by_role("button", name=re.compile("Following"))).to_be_visible()
    page.get_by_role("link", name="Show in the chart").click()
    expect(page.locator("[aria-current=true].chart-box")).to_contain_text("Mei Tanaka")
    expect(page.locator(".chart-managers")).to_contain_text("Ada Winter")
    expect(page.locator(".chart-peers")).to_contain_text("Jonas Weber")
    page.locator(".chart-managers .chart-box").first.click()
    expect(page.locator("[aria-current=true].chart-box")).to_contain_text("Ada Winter")


def test_who_reacted_and_who_follows_is_shown_and_followed_from_there(world: World, open_as: OpenAs) -> None:
    admin, api = world.admin, world.network.api
    post_id = admin.post("The canteen opens at eleven.")
    fans = [admin.add(name) for name in ("Lea Brandt", "Nils Holm")]
    for person_id, _ in fans:
        token = api("POST", "/access-tokens", admin.token, {"name": "tests", "scopes": ["read", "write"], "person_id": person_id})["secret"]
        api("POST", f"/posts/{post_id}/reactions", token, {"emoji": "👏"})
        api("PUT", f"/people/{admin.id}/follow", token)
    api("POST", f"/posts/{post_id}/reactions", admin.token, {"emoji": "🎉"})
    page = open_as("Rosa Almeida", f"/posts/{post_id}")
    page.get_by_role("button", name="More about this post").first.click()
    page.get_by_role("link", name="Who reacted").click()
    page.wait_for_url(world.path(f"/posts/{post_id}/reactions"))
    expect(page.locator(".reaction-row")).to_have_count(3)
    page.get_by_role("link", name="👏 2").click()
    expect(page.locator(".reaction-row")).to_have_text([re.compile("Nils Holm.*👏", re.DOTALL), re.compile("Lea Brandt.*👏", re.DOTALL)])
    page.get_by_role("link", name="Back to the post").click()
    page.wait_for_url(world.path(f"/posts/{post_id}"))
    page.goto(world.path(f"/people/{admin.id}"))
    page.get_by_role("link", name=re.compile("followers$")).click()
    page.wait_for_url(world.path(f"/people/{admin.id}/followers"))
    row = page.locator(".person-row", has_text="Lea Brandt")
    row.get_by_role("button", name="Follow Lea Brandt").click()
    expect(row.get_by_role("button", name="Following Lea Brandt")).to_have_attribute("aria-pressed", "true")
    page.goto(world.path(f"/people/{world.people['Rosa Almeida'][0]}/following"))
    expect(page.locator(".person-row", has_text="Lea Brandt")).to_be_visible()


def test_the_organisation_is_renamed_and_everybody_reads_it(world: World, open_as: OpenAs) -> None:
    before = world.network.api("GET", "/organization", world.admin.token)["name"]
    page = open_as("Ada Winter", "/admin/people")
    page.get_by_role("navigation", name="Administration").get_by_role("link", name="Organisation").click()
    expect(page.get_by_label("Name of the organisation")).to_have_value(before)
    page.get_by_label("Name of the organisation").fill("Northwind Lenses")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.locator(".brand-name")).to_have_text("Northwind Lenses")
    expect(open_as("Rosa Almeida", "/company")).to_have_title(re.compile("Northwind Lenses$"))
    world.network.api("PATCH", "/organization", world.admin.token, {"name": before})


def test_a_post_is_found_and_opened_from_the_results(world: World, open_as: OpenAs) -> None:
    post_id = world.admin.post("Quarterly figures of the collimator line.")
    page = open_as("Rosa Almeida", "/search?q=collimators")
    for _ in range(20):  # the index is current within a second
        if page.locator(".result").count():
            break
        page.reload()
    expect(page.locator(".result mark").first).to_have_text(re.compile("collimator"))
    page.locator(".result h2 a").first.click()
    page.wait_for_url(re.compile(f"/posts/{post_id}"))
    page.goto(world.path("/search?q=collimators&author=Nobody+Here"))
    expect(page.locator("#author-error")).to_be_visible()


def test_a_closed_community_is_asked_and_let_into(world: World, open_as: OpenAs) -> None:
    owner = open_as("Mei Tanaka", "/communities/new")
    owner.get_by_label("Name", exact=True).fill("Grinding guild")
    owner.get_by_label("What it is about").fill("Everything that makes glass smaller.")
    owner.get_by_text("Closed", exact=True).click()
    owner.get_by_role("button", name="Found the community").click()
    expect(owner.get_by_role("heading", name="Grinding guild")).to_be_visible()
    path = owner.url.removeprefix(world.network.address)
    write(owner, "Only for grinders.")
    expect(owner.locator("article.post")).to_contain_text("Only for grinders.")
    other = open_as("Jonas Weber", path)
    expect(other.get_by_text("Only members read here")).to_be_visible()
    expect(other.get_by_text("Only for grinders.")).to_have_count(0)
    other.get_by_role("button", name=re.compile("Ask to join")).click()
    expect(other.get_by_role("button", name=re.compile("Asked"))).to_be_visible()
    owner.goto(world.path("/notifications"))
    expect(owner.get_by_text(re.compile("Jonas Weber.*asks to join Grinding guild"))).to_be_visible()
    owner.goto(world.path(f"{path}/requests"))
    owner.get_by_role("button", name=re.compile("Let in")).click()
    expect(owner.get_by_text("Nobody is waiting")).to_be_visible()
    other.reload()
    expect(other.get_by_text("Only for grinders.")).to_be_visible()
    owner.goto(world.path(f"{path}/members"))
    owner.get_by_role("button", name=re.compile("Change membership of Jonas Weber")).click()
    owner.get_by_role("button", name=re.compile("Make moderator|Moderator")).first.click()
    expect(owner.get_by_text("Saved.")).to_be_visible()
    owner.goto(world.path(f"{path}/edit"))
    owner.get_by_role("button", name="Archive").click()
    expect(owner.get_by_text("Archived: read only")).to_be_visible()
    expect(owner.get_by_label("Write a post")).to_have_count(0)
    third = open_as("Rosa Almeida", "/communities")
    expect(third.get_by_text("Only for grinders.")).to_have_count(0)


# --- live -------------------------------------------------------------------------------------------------------------


def test_what_others_do_arrives_without_reloading(world: World, open_as: OpenAs) -> None:
    post_id = world.admin.post("Who has the torque wrench?")
    reader = open_as("Ada Winter", f"/posts/{post_id}")
    timeline = open_as("Rosa Almeida", "/company")
    for page in (reader, timeline):
        expect(page.locator("html")).to_have_attribute("data-live-state", "open")
    writer = open_as("Mei Tanaka", f"/posts/{post_id}")
    writer.get_by_label("Write a reply").fill("It hangs beside the lathe.")
    writer.get_by_role("button", name="Reply", exact=True).click()
    expect(reader.locator(".fresh .pill")).to_have_text(re.compile("1 new"))
    reader.locator(".fresh .pill").click()
    expect(reader.locator(".replies-root")).to_contain_text("It hangs beside the lathe.")
    expect(reader.locator(".thread-count")).to_have_text("1 reply")
    world.admin.post("Found it.", parent_id=post_id)
    expect(reader.locator(".thread-count")).to_have_text("2 replies")
    expect(reader.locator(".rail [data-unread-count]")).to_have_text(re.compile("[1-9]"))
    writer.locator(".post-root").get_by_role("button", name="React").click()
    writer.locator(".post-root").get_by_role("button", name="Thumbs up").click()
    expect(reader.locator(".post-root .chip[data-emoji='👍'] [data-count]")).to_have_text("1")
    world.admin.post("It is back in its place.")
    expect(timeline.locator(".fresh .pill")).to_have_text(re.compile("1 new"))
    timeline.locator(".fresh .pill").click()
    expect(timeline.locator("article.post").first).to_contain_text("back in its place")


def test_notifications_are_read_on_every_device(world: World, open_as: OpenAs) -> None:
    world.admin.post("@mei.tanaka please look at bench 4.")
    first, second = open_as("Mei Tanaka", "/notifications"), open_as("Mei Tanaka", "/")
    expect(first.get_by_text("please look at bench 4.")).to_be_visible()
    first.get_by_role("button", name="Mark all as read").click()
    expect(first.locator(".notification.is-unread")).to_have_count(0)
    second.reload()
    expect(second.locator(".rail [data-unread]")).to_be_hidden()


def test_what_is_written_on_its_own_page_is_shown_there_after(world: World, open_as: OpenAs) -> None:
    page = open_as("Mei Tanaka", "/compose")
    box = page.get_by_label("Write a post")
    box.press_sequentially("The lathe is free, @jonas")
    expect(page.locator(".compose [role=option]").first).to_have_attribute("aria-selected", "true")
    box.press("Enter")
    expect(box).to_have_value(re.compile(r"^The lathe is free, @jonas\S* $"))
    page.get_by_role("button", name="Post", exact=True).click()
    page.wait_for_url(re.compile(r"/posts/[0-9a-f-]{36}$"))
    expect(page.locator(".post-root")).to_contain_text("The lathe is free")
    page.goto(world.path("/compose"))
    expect(page.get_by_label("Write a post")).to_have_value("")


def test_the_tab_one_is_on_is_in_sight_on_a_narrow_screen(open_as: OpenAs) -> None:
    page = open_as("Mei Tanaka", "/settings/appearance")
    page.set_viewport_size({"width": 360, "height": 800})
    page.reload()
    expect(page.locator("main .tabs [aria-current]")).to_be_in_viewport(ratio=0.95)


def test_a_result_opens_wherever_it_is_touched(world: World, open_as: OpenAs) -> None:
    world.admin.post("The gantry crane is inspected on the ninth.")
    page = open_as("Jonas Weber", "/search?q=gantry")
    result = page.locator(".result").first
    for _ in range(20):
        if result.count():
            break
        page.reload()
    around = result.bounding_box()
    assert around
    page.mouse.click(around["x"] + around["width"] - 12, around["y"] + around["height"] - 8)
    page.wait_for_url(re.compile(r"/posts/[0-9a-f-]{36}"))


# --- settings and administration --------------------------------------------------------------------------------------


def test_settings_are_kept(world: World, open_as: OpenAs) -> None:
    page = open_as("Rosa Almeida", "/settings/profile")
    expect(page.get_by_label("Title")).to_be_disabled()
    page.get_by_label("Pronouns").fill("she/her")
    page.get_by_label("Languages you speak").fill("pt, klingonian-12345678901")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#languages-error")).to_be_visible()
    expect(page.get_by_label("Pronouns")).to_have_value("she/her")
    page.get_by_label("Languages you speak").fill("pt, en")
    page.get_by_label("Phone", exact=True).fill("+351 21 555 01 23")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.locator(".rail-me").click()
    expect(page.get_by_text("she/her")).to_be_visible()
    expect(page.get_by_role("link", name="+351 21 555 01 23")).to_be_visible()
    page.goto(world.path("/settings/tokens"))
    page.get_by_label("What it is for").fill("A script")
    page.get_by_role("button", name="Make the token").click()
    secret = page.get_by_label("New token").input_value()
    assert secret.startswith("wct_")
    assert world.network.api("GET", "/me", secret)["person"]["display_name"] == "Rosa Almeida"
    page.goto(world.path("/settings/tokens"))
    assert secret not in page.content()
    page.goto(world.path("/settings/appearance"))
    page.get_by_label("Language", exact=True).select_option("de")
    page.get_by_text("Dark", exact=True).click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_mover_is_moved_and_nobody_leads_themselves(world: World, open_as: OpenAs) -> None:
    person_id, _ = world.admin.add("Tomas Novak", title="Fitter", department="Workshop")
    page = open_as("Ada Winter", f"/admin/people/{person_id}")
    page.get_by_label("Department").fill("Service")
    page.get_by_label("Manager").fill("@tomas.novak")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Department")).to_have_value("Service")
    page.get_by_label("Manager").fill("@mei.tanaka")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.goto(world.path(f"/people/{person_id}"))
    expect(page.locator(".person-head")).to_contain_text("Service")
    expect(page.locator(".beside")).to_contain_text("Mei Tanaka")


def test_a_directory_is_imported_after_a_dry_run(world: World, open_as: OpenAs) -> None:
    lines = ["Name,E-mail,Job title,Department,Manager"]
    lines += [f"Import Person {n},import.person{n}@example.com,Operator,Line {n % 3},ada.winter@example.com" for n in range(1, 26)]
    lines.append("Broken,not-an-address,Operator,Line 1,")
    page = open_as("Ada Winter", "/admin/import")
    upload = {"name": "people.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
    page.get_by_label("File", exact=True).set_input_files(upload)
    page.get_by_role("button", name="Dry run").click()
    expect(page.locator(".tally-add")).to_contain_text("25")
    expect(page.locator(".tally-reject")).to_contain_text("1")
    expect(page.locator(".row-reject")).to_contain_text("27")
    assert findings(page) == []
    page.get_by_role("button", name=re.compile("Write 25 records")).click()
    expect(page.get_by_text(re.compile("25 records imported"))).to_be_visible(timeout=20_000)
    page.goto(world.path("/admin/import"))
    page.get_by_label("File", exact=True).set_input_files(upload)
    page.get_by_role("button", name="Dry run").click()
    expect(page.locator(".tally-keep")).to_contain_text("25")


def test_a_person_is_erased_only_when_named(world: World, open_as: OpenAs) -> None:
    person_id, _ = world.admin.add("Vera Petrova", title="Analyst")
    page = open_as("Ada Winter", f"/admin/erasure?person_id={person_id}", java_script_enabled=False)
    page.get_by_label(re.compile("to confirm")).fill("Vera")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.locator("#confirm_name-error")).to_be_visible()
    page.get_by_label(re.compile("to confirm")).fill("Vera Petrova")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_text("The person has been erased.")).to_be_visible()
    page.goto(world.path(f"/people/{person_id}"))
    expect(page.get_by_role("heading", name="Erased person")).to_be_visible()
    expect(page.get_by_text("Vera Petrova")).to_have_count(0)


def test_what_is_not_open_to_one_is_not_there(world: World, open_as: OpenAs) -> None:
    secret = world.network.api("POST", "/communities", world.admin.token, {"name": "Merger", "kind": "secret"})["id"]
    page = open_as("Jonas Weber")
    for path, status in (
        (f"/communities/{secret}", 404), (f"/communities/{secret}/members", 404), ("/posts/01999999-9999-7999-8999-999999999999", 404),
        ("/nothing", 404), ("/admin/people", 403), ("/admin/erasure", 403), ("/communities/x", 404),
    ):
        answer = page.goto(world.path(path))
        assert answer is not None and answer.status == status, path
        assert page.locator("h1").count() == 1
    expect(page.get_by_role("link", name="Administration")).to_have_count(0)


# --- every page -------------------------------------------------------------------------------------------------------


def test_every_page_is_accessible_in_light_and_dark_and_fits_a_phone(world: World, open_as: OpenAs) -> None:
    person_id, _ = world.people["Mei Tanaka"]
    post_id = world.admin.post("For every page, with a `very-long-word-that-nobody-ever-breaks-anywhere-in-the-whole-wide-world` in it.")
    communities = world.network.api("GET", "/communities", world.admin.token)["communities"]
    community = f"/communities/{communities[0]['id']}" if communities else "/communities"
    page = open_as("Ada Winter", color_scheme="light", reduced_motion="reduce")
    found: list[str] = []
    for path in (
        "/", "/company", "/compose", "/saved", "/communities", community, f"{community}/members", f"{community}/edit",
        f"{community}/requests", "/communities/new", "/people", f"/people/{person_id}", "/organisation", f"/organisation/{person_id}",
        "/search", "/search?q=post", f"/posts/{post_id}", f"/posts/{post_id}/edit", f"/posts/{post_id}/history", f"/posts/{post_id}/delete",
        f"/posts/{post_id}/reactions", f"/people/{person_id}/followers", f"/people/{person_id}/following", "/admin/organisation",
        "/tags/series7", "/notifications", "/settings/profile", "/settings/security", "/settings/sessions", "/settings/tokens",
        "/settings/appearance", "/admin/people", f"/admin/people/{person_id}",
        "/admin/invite", "/admin/import", "/admin/sessions", "/admin/erasure",
        f"/admin/erasure?person_id={person_id}", "/admin/operation", "/design", "/nothing-here",
    ):
        page.goto(world.path(path))
        found += [f"{path}: {line}" for line in findings(page)]
        # In the dark only colours differ.
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        found += [f"{path} in the dark: {line}" for line in findings(page, only=("color-contrast",))]
        page.set_viewport_size({"width": 360, "height": 740})
        found += [f"{path} at 360: {line}" for line in overflow(page)]
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.set_viewport_size({"width": 1280, "height": 900})
    assert found == []


def test_the_first_page_is_small_and_compressed(world: World, open_as: OpenAs) -> None:
    page = open_as("Ada Winter")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: dict[str, float] = {}
    kinds: dict[str, str] = {}
    session.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))
    session.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    page.goto(world.path("/company"), wait_until="load")
    assert sum(sizes.values()) < 150_000
    assert 0 < sum(size for key, size in sizes.items() if kinds.get(key) == "Script") < 30_000


# --- announcements ----------------------------------------------------------------------------------------------------


def test_an_announcement_is_shown_opened_and_confirmed_while_its_author_looks_on(world: World, open_as: OpenAs) -> None:
    author = open_as("Ada Winter", "/announcements/new")
    author.get_by_label("Title").fill("The workshop moves to hall 4")
    author.get_by_label("Text").fill("From **Monday** on. Ask me.")
    expect(author.get_by_label("By when")).to_be_hidden()
    author.get_by_label("Must be confirmed").check()
    expect(author.get_by_label("By when")).to_be_visible()
    author.get_by_role("button", name="Preview and count").click()
    expect(author.get_by_role("heading", name=re.compile(r"This reaches \d+ people"))).to_be_visible()
    assert findings(author) == []
    author.get_by_role("button", name=re.compile("Publish to")).click()
    expect(author.get_by_role("heading", name="The workshop moves to hall 4")).to_be_visible()
    counted = author.locator("[data-reach-live]")
    if not counted.is_visible():  # a busy machine is still counting the audience
        expect(author.get_by_text("This is being published")).to_be_visible()
    for _ in range(100):
        if counted.is_visible():
            break
        author.reload()

    def count(fact: str) -> Locator:
        return author.locator(f"[data-reach={fact}] [data-reach-count]")

    expect(count("shown")).to_have_text("0")
    reader = open_as("Mei Tanaka", "/company")
    strip = reader.locator(".announcement-strip").first
    strip.scroll_into_view_if_needed()
    expect(count("shown")).to_have_text("1")  # told by the reader's script, and to the author's page, by themselves
    expect(count("opened")).to_have_text("0")
    reader.goto(world.path("/"))
    reader.locator(".announcement-banner").get_by_role("link", name="Read The workshop moves to hall 4").click()
    expect(count("opened")).to_have_text("1")
    expect(count("confirmed")).to_have_text("0")
    assert findings(reader) == []
    reader.get_by_role("button", name="I have read this").click()
    expect(reader.get_by_text("You have read this")).to_be_visible()
    expect(count("confirmed")).to_have_text("1")
    reader.goto(world.path("/"))
    expect(reader.locator(".announcement-banner")).to_have_count(0)
    author.get_by_role("link", name="Who has and who has not").click()
    author.get_by_role("link", name="not Confirmed").click()
    expect(author.get_by_role("main")).not_to_contain_text("Mei Tanaka")
    expect(author.get_by_role("main")).to_contain_text("Jonas Weber")
    assert findings(author) == []
