"""No text that people write ever runs as a script: real collections of attacks, through the real pages, in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from libs.testing.world import shared_data
from tests.browser.network import ASSETS, CHROMIUM, Administrator, Network, sign_in, start_network

CHROMIUM_PATH = shutil.which("chromium") or shutil.which("google-chrome")
CI = os.environ.get("CI", "").lower() in ("1", "true")
pytestmark = pytest.mark.skipif(
    not CI and (CHROMIUM_PATH is None or not (ASSETS / "dist" / "manifest.json").exists()),
    reason="no Chromium is installed, or the web interface is not built: make dev",
)

BODY = 9_000
OWN = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "![x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "<javascript:alert(1)>",
    '[x](https://a.example" onmouseover="alert(1))',
    "`<script>alert(1)</script>`",
    '```"><script>alert(1)</script>\nx\n```',
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "'\"><iframe srcdoc='<script>parent.alert(1)</script>'>",
    '<a href="vbscript:x">x</a>',
    "@<script>alert(1)</script> #<script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    'https://a.example/"onmouseover=alert(1)//',
    "[x]: javascript:alert(1)\n[x]",
    "\u2028alert(1)\u2029",
    "<x hx-get=/people hx-trigger=load data-on-load=alert(1)>",
)
# What a page made of other people's words must not contain, whatever they wrote.
LOOK = """() => {
    const wrong = [];
    for (const e of document.querySelectorAll('*')) {
        for (const a of e.attributes) {
            if (/^on/i.test(a.name)) wrong.push(e.outerHTML.slice(0, 200));
            if (/^(href|src|action|formaction|xlink:href|srcdoc)$/i.test(a.name)
                && /^[\\u0000-\\u0020]*(javascript|vbscript|data:text)/i.test(a.value))
                wrong.push(e.outerHTML.slice(0, 200));
            if (/^(srcdoc)$/i.test(a.name)) wrong.push(e.outerHTML.slice(0, 200));
        }
        if (/^(iframe|object|embed|base|frame|applet|math)$/i.test(e.tagName)) wrong.push(e.outerHTML.slice(0, 200));
        if (/^script$/i.test(e.tagName) && !new URL(e.src || 'x:', location).pathname.startsWith('/assets/')
            && e.type !== 'application/json')
            wrong.push(e.outerHTML.slice(0, 200));
        if (/^meta$/i.test(e.tagName) && e.httpEquiv) wrong.push(e.outerHTML.slice(0, 200));
    }
    return [...wrong, ...(window.__ran || []), ...(window.__broken || [])];
}"""
TRAP = """
    window.__ran = []; window.__broken = [];
    for (const name of ['alert', 'confirm', 'prompt', 'print']) window[name] = (...what) => { window.__ran.push(name + ' ' + what); };
    document.addEventListener('securitypolicyviolation', e =>
        window.__broken.push(e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sample));
"""


def attacks() -> list[str]:
    """Our own, and the collections of DOMPurify and of naughty strings where they are."""
    found = list(OWN)
    folder = shared_data()
    if folder is not None:
        hostile = folder / "data" / "hostile"
        found += [each["payload"] for each in json.loads((hostile / "html-xss" / "dompurify-expect.json").read_text("utf-8"))]
        found += json.loads((hostile / "naughty-strings.json").read_text("utf-8"))
        found += [path.read_text("utf-8", "replace") for path in sorted((hostile / "svg").glob("*.svg"))]
    else:
        print("the collections of attacks are missing (data/hostile of the shared data): only our own are tried")
    return [each for each in found if each.strip() and "\0" not in each]


def gathered(texts: list[str]) -> list[str]:
    """As few posts as hold them all, an attack a paragraph."""
    posts: list[str] = []
    for text in texts:
        piece = text[:BODY]
        if posts and len(posts[-1]) + len(piece) < 1_500:
            posts[-1] += "\n\n" + piece
        else:
            posts.append(piece)
    return posts


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    running = start_network(tmp_path_factory.mktemp("scripts"))
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def context(network: Network) -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM_PATH, args=CHROMIUM)
        made = browser.new_context(viewport={"width": 1280, "height": 900})
        made.set_default_timeout(20_000)
        made.add_init_script(TRAP)
        yield made
        browser.close()


def test_no_text_runs(network: Network, context: BrowserContext) -> None:
    admin = Administrator(network, "<b onclick=alert(1)>Org</b><script>alert(1)</script>")
    texts = attacks()

    def tried(method: str, path: str, body: dict[str, object]) -> str:
        try:
            return str(network.api(method, path, admin.token, body)["id"])
        except urllib.error.HTTPError as error:
            if error.code != 400:
                raise
            return ""

    posts = gathered(texts)
    lines = [" ".join(each.split()) for each in texts if "<" in each or "javascript" in each.lower()]
    names = [each[:150] for each in lines if len(each) < 150][:40]
    with ThreadPoolExecutor(4) as several:
        made = [each for each in several.map(lambda body: tried("POST", "/posts", {"body": body}), posts) if each]
        list(
            several.map(
                lambda pair: tried(
                    "POST",
                    "/people",
                    {
                        "name": pair[1],
                        "email": f"x{pair[0]}@example.com",
                        "title": pair[1],
                        "about": pair[1],
                        "location": pair[1][:60],
                        "department": pair[1],
                        "pronouns": pair[1][:30],
                        "contact": {"phone": pair[1]},
                        "custom_fields": {"motto": pair[1]},
                    },
                ),
                enumerate(names),
            )
        )
        communities = [
            each
            for each in several.map(
                lambda name: tried("POST", "/communities", {"name": name[:80], "description": name, "rules": name, "kind": "open"}),
                names[:12],
            )
            if each
        ]
    assert len(made) > len(posts) * 0.8, "most are taken as they are"
    tried("PATCH", f"/people/{admin.id}", {"preferred_name": OWN[1], "about": "\n\n".join(OWN)})
    tried("PATCH", f"/posts/{made[0]}", {"body": "\n\n".join(OWN)})
    tried("POST", "/posts", {"body": OWN[0], "parent_id": made[0]})
    paths = [
        "/",
        "/people",
        "/organisation",
        "/communities",
        f"/people/{admin.id}",
        f"/posts/{made[0]}",
        f"/posts/{made[0]}/history",
        f"/posts/{made[0]}/edit",
        "/notifications",
        "/settings/profile",
        "/admin/people",
        "/admin/invite",
        "/admin/sessions",
        "/search?q=script",
        "/search?q=alert",
        "/compose?body=" + quote(OWN[0]),
    ]
    paths += [f"/communities/{each}{part}" for each in communities[:4] for part in ("", "/members", "/edit")]
    paths += [f"/search?q={quote(each)}" for each in OWN[:8]]
    paths += [f"/{quote(each, safe='')}" for each in OWN[:4]] + [f"/tags/{quote(OWN[1], safe='')}", f"/people?q={quote(OWN[1])}"]
    paths += [f"/sign-in?next={quote('javascript:alert(1)')}", f"/admin/erasure?q={quote(OWN[1])}"]
    page = context.new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    outside: list[str] = []
    page.on(
        "request", lambda request: outside.append(request.url) if not request.url.startswith((network.address, "data:", "blob:")) else None
    )
    sign_in(page, network.address, admin.email)
    wrong: list[str] = []
    for path in paths:
        wrong += look(page, network.address + path)
    # Every post, page after page of the company's timeline.
    following = f"{network.address}/company"
    seen = 0
    for _ in range(30):
        wrong += look(page, following)
        seen += page.locator("article").count()
        more = page.locator(".more a").first
        if not more.count():
            break
        following = network.address + str(more.get_attribute("href"))
    assert wrong == []
    assert dialogs == []
    assert outside == []
    assert seen >= len(made) * 0.9, (seen, len(made))


def look(page: Page, address: str) -> list[str]:
    """What is wrong with a page, once its own script has run."""
    page.goto(address, wait_until="load")
    found: list[str] = page.evaluate(LOOK)
    assert page.url.startswith(address.split("/", 3)[0]), page.url
    return [f"{address}: {each}" for each in found]


def test_a_script_that_did_get_in_would_not_run(network: Network, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{network.address}/sign-in")
    page.evaluate("""() => {
        const script = document.createElement('script'); script.textContent = 'window.__ran.push("inline")'; document.body.append(script);
        const image = document.createElement('img'); image.setAttribute('onerror', 'window.__ran.push("handler")'); image.src = '/none';
        document.body.append(image);
        const frame = document.createElement('iframe'); frame.src = 'https://evil.example'; document.body.append(frame);
    }""")
    page.wait_for_function("window.__broken.length >= 3")
    assert page.evaluate("window.__ran") == []


@pytest.mark.skipif(os.environ.get("TEST_NETWORK") == "cluster", reason="a cluster keeps what it knows in its engines, not in files")
def test_every_file_is_its_owners(network: Network) -> None:
    files = [path for path in (network.folder / "var").rglob("*") if path.is_file()]
    assert len(files) > 8
    assert [path.name for path in files if path.stat().st_mode & 0o077] == []
