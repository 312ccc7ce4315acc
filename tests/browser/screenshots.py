"""Draws every page at three widths in light and dark into screenshots/, and reads each with axe.

    .venv/bin/python tests/browser/screenshots.py [--only NAME ...] [--width 1440 ...] [--scheme dark] [--axe] [--no-pictures]

The pages come from samples.py and need no running network. They are served with the strict Content-Security-Policy of the
gateway, and every message on the browser's console is printed: a page that breaks the policy is seen here. With --axe the exit
status is 1 when axe finds anything.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from PIL import Image, ImageDraw  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from services.gateway.rendering import Renderer  # noqa: E402
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


def findings(page: Any, axe: str) -> list[str]:
    """What axe finds on the page shown, a line each."""
    page.evaluate(axe)
    result = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", AXE_TAGS)
    return [
        f"{found['id']}: {node['target']} {node.get('failureSummary', '').splitlines()[-1:]}"
        for found in result["violations"]
        for node in found["nodes"]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--width", type=int, nargs="*", default=[1440, 768, 360])
    parser.add_argument("--scheme", nargs="*", default=["light", "dark"])
    parser.add_argument("--axe", action="store_true")
    parser.add_argument("--no-pictures", action="store_true")
    parser.add_argument("--view", action="store_true", help="only what is seen without scrolling")
    options = parser.parse_args()
    target = ROOT / "screenshots"
    names = write_site(target / "html", options.only)
    server = serve(target / "html")
    axe = (ASSETS / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8") if options.axe else ""
    found: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        for scheme in options.scheme:
            for width in options.width:
                context = browser.new_context(viewport={"width": width, "height": 900 if width > 600 else 740}, color_scheme=scheme)
                page = context.new_page()
                page.on(
                    "console",
                    lambda message: (
                        print("console:", message.text) if message.type in ("error", "warning") and "404" not in message.text else None
                    ),
                )
                for name in names:
                    page.goto(f"http://127.0.0.1:{server.server_port}/{name}.html", wait_until="load")
                    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                    if overflow > 0:
                        found.append(f"{name} {width} {scheme}: {overflow} px wider than the screen")
                    if options.axe:
                        found.extend(f"{name} {width} {scheme}: {line}" for line in findings(page, axe))
                    if not options.no_pictures:
                        page.screenshot(path=target / f"{name}-{width}-{scheme}.png", full_page=not options.view)
                context.close()
        browser.close()
    server.shutdown()
    print("\n".join(sorted(set(found))) or f"{len(names)} pages, nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
