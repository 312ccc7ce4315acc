"""Draws every page of the sample organisation at three widths in light and dark into screenshots/, and reads each with axe.

    .venv/bin/python tests/browser/screenshots.py [--only NAME ...] [--width 1440 ...] [--scheme dark] [--axe] [--no-pictures]

The sample organisation is loaded into a network of its own in a folder that is deleted afterwards. With --samples the pages are
drawn from samples.py instead, which has the rare states too and needs no network; they are served with the strict
Content-Security-Policy of the gateway. Every message on the browser's console is printed: a page that breaks the policy is seen
here. With --axe the exit status is 1 when axe finds anything.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from PIL import Image, ImageDraw  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from services.gateway.rendering import Renderer  # noqa: E402
from tests.browser.network import Network, sign_in  # noqa: E402
from tests.browser.samples import pages  # noqa: E402

ASSETS = ROOT / "services" / "gateway" / "assets"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the rendered pages as the gateway would."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def write_site(folder: Path, names: list[str]) -> list[str]:
    """Renders the pages into `folder`, with assets and a sample image; answers the names written."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "media").mkdir(parents=True)
    shutil.copytree(ASSETS / "dist", folder / "assets")
    hills = Image.new("RGB", (1200, 675), (214, 232, 236))
    for shade, height in ((150, 420), (120, 500), (90, 590)):
        ImageDraw.Draw(hills).ellipse((shade * 4 - 900, height, shade * 4 + 1100, height + 900), fill=(shade - 60, shade + 10, shade))
    hills.save(folder / "media" / "sample-wide.png")
    renderer = Renderer(ASSETS / "dist")
    written = []
    for name, make in pages():
        if names and name not in names:
            continue
        (folder / f"{name}.html").write_text(renderer.render(make()), encoding="utf-8")
        written.append(name)
    return written


def serve(folder: Path) -> http.server.ThreadingHTTPServer:
    """Serves a folder on a free port of this machine until shut down."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def findings(page: Any, axe: str, only: str = "") -> list[str]:
    """What axe finds on the page shown, a line each; by one rule where it is named."""
    page.evaluate(axe)
    rules = {"type": "rule", "values": [only]} if only else {"type": "tag", "values": AXE_TAGS}
    result = page.evaluate("rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", rules)
    return [
        f"{found['id']}: {node['target']} {node.get('failureSummary', '').splitlines()[-1:]}"
        for found in result["violations"]
        for node in found["nodes"]
    ]


Visit = tuple[str, str]


def people_pages(page: Any, address: str) -> list[Visit]:
    """Names and addresses of the pages of whoever is signed in, with a person, a thread and a community among the liveliest."""
    me = page.locator(".rail-me").get_attribute("href")
    page.goto(f"{address}/company")
    counts = page.locator("article.post").evaluate_all(
        "all => all.map(each => [each.dataset.post, Number(each.querySelector('[data-replies]')?.textContent || 0)])"
    )
    thread = "/posts/" + max(counts, key=lambda entry: entry[1])[0]
    author = page.locator("article.post .name").first.get_attribute("href")
    page.goto(f"{address}/communities")
    community = page.locator(".community-row h2 a").first.get_attribute("href")
    return [
        ("home", "/"), ("company", "/company"), ("compose", "/compose"), ("thread", thread), ("history", f"{thread}/history"),
        ("reactions", f"{thread}/reactions"),
        ("saved", "/saved"), ("communities", "/communities"), ("community", community), ("members", f"{community}/members"),
        ("community-new", "/communities/new"), ("people", "/people"), ("people-found", "/people?q=brigite"), ("me", me), ("person", author),
        ("person-followers", f"{author}/followers"), ("person-following", f"{author}/following"),
        ("organisation", "/organisation"), ("organisation-person", "/organisation/" + author.removeprefix("/people/")),
        ("search", "/search?q=film"), ("search-nothing", "/search?q=xylophone"), ("notifications", "/notifications"),
        ("settings-profile", "/settings/profile"), ("settings-security", "/settings/security"), ("settings-sessions", "/settings/sessions"),
        ("settings-tokens", "/settings/tokens"), ("settings-appearance", "/settings/appearance"),
        ("admin-people", "/admin/people"), ("admin-person", author.replace("/people/", "/admin/people/")),
        ("admin-invite", "/admin/invite"), ("admin-import", "/admin/import"), ("admin-sessions", "/admin/sessions"),
        ("admin-erasure", "/admin/erasure"), ("admin-organisation", "/admin/organisation"),
        ("admin-operation", "/admin/operation"), ("design", "/design"), ("not-found", "/nothing-here"),
    ]


def draw(page: Any, visits: list[Visit], address: str, label: str, options: argparse.Namespace, axe: str) -> list[str]:
    """Draw the pages; answers what is wrong with them, a line each."""
    found: list[str] = []
    for name, path in visits:
        if options.only and name not in options.only:
            continue
        page.goto(address + path, wait_until="load")
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if overflow > 0:
            found.append(f"{name} {label}: {overflow} px wider than the screen")
        if axe:
            found.extend(f"{name} {label}: {line}" for line in findings(page, axe))
        if not options.no_pictures:
            page.screenshot(path=ROOT / "screenshots" / f"{name}-{label}.png", full_page=not options.view)
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--width", type=int, nargs="*", default=[1440, 768, 360])
    parser.add_argument("--scheme", nargs="*", default=["light", "dark"])
    parser.add_argument("--samples", action="store_true", help="the made-up pages of samples.py, without a network")
    parser.add_argument("--axe", action="store_true")
    parser.add_argument("--no-pictures", action="store_true")
    parser.add_argument("--view", action="store_true", help="only what is seen without scrolling")
    return parser.parse_args()


def complain(message: Any) -> None:
    if message.type in ("error", "warning") and "404" not in message.text:
        print("console:", message.text)


def main() -> int:
    options = arguments()
    target = ROOT / "screenshots"
    target.mkdir(exist_ok=True)
    axe = (ASSETS / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8") if options.axe else ""
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        network = server = None
        if options.samples:
            names = write_site(target / "html", options.only)
            server = serve(target / "html")
            address = f"http://127.0.0.1:{server.server_port}"
        else:
            network = Network(Path(folder), sample=True)
            address = network.address
        try:
            for scheme in options.scheme:
                for width in options.width:
                    context = browser.new_context(
                        viewport={"width": width, "height": 900 if width > 600 else 740}, color_scheme=scheme, reduced_motion="reduce"
                    )
                    page = context.new_page()
                    page.on("console", complain)
                    label = f"{width}-{scheme}"
                    if network is None:
                        visits = [(name, f"/{name}.html") for name in names]
                    else:
                        doors = [("sign-in", "/sign-in"), ("password-forgotten", "/password/forgotten")]
                        found += draw(page, doors, address, label, options, axe)
                        who = network.credentials("administrator")
                        sign_in(page, address, who["email"], who["password"])
                        visits = people_pages(page, address)
                    found += draw(page, visits, address, label, options, axe)
                    context.close()
        finally:
            browser.close()
            if network is not None:
                network.stop()
            if server is not None:
                server.shutdown()
    print("\n".join(sorted(set(found))) or "nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
