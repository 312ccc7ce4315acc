"""The built style sheet, script and icons, read once: their names hold a hash of the content, so a browser asks for each only once."""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from ..http import AnyRequest

FOLDER: Final = Path(__file__).resolve().parents[1] / "assets" / "dist"
IMMUTABLE: Final = "public, max-age=31536000, immutable"
BRIEFLY: Final = "public, max-age=3600"
MISSING: Final = "The web interface has not been built: run `make assets`, then reload this page.\n"

_HASHED = re.compile(r".+-[A-Za-z0-9]{8}\.[a-z]+")
_TYPES = {
    ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png",
    ".txt": "text/plain", ".webmanifest": "application/manifest+json", ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file in each encoding it was built in."""

    media_type: str
    cache: str
    encodings: dict[str, bytes]


def read(folder: Path = FOLDER) -> dict[str, Asset]:
    """Every file of the build that browsers ask for, by name; empty when nothing was built."""
    found: dict[str, Asset] = {}
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        media_type = _TYPES.get(path.suffix)
        if media_type is None:
            continue
        encodings = {"": path.read_bytes()}
        for name, suffix in (("br", ".br"), ("gzip", ".gz")):
            packed = path.with_name(path.name + suffix)
            if packed.exists():
                encodings[name] = packed.read_bytes()
        found[path.name] = Asset(media_type, IMMUTABLE if _HASHED.fullmatch(path.name) else BRIEFLY, encodings)
    return found


_assets = read()


def _encoding(accepted: str, asset: Asset) -> str:
    wanted = {name.strip() for name, _, quality in (each.partition(";") for each in accepted.split(",")) if quality.strip() != "q=0"}
    return next((name for name in ("br", "gzip") if name in wanted and name in asset.encodings), "")


async def asset(request: AnyRequest) -> Response[bytes]:
    """A built file."""
    found = _assets.get(str(request.path_params["name"]))
    if found is None:
        missing = MISSING if not _assets else "There is no such file.\n"
        headers = {"cache-control": "no-store"}
        return Response(missing.encode(), status_code=404 if _assets else 503, media_type="text/plain", headers=headers)
    encoding = _encoding(request.headers.get("accept-encoding", ""), found)
    headers = {"cache-control": found.cache, "vary": "Accept-Encoding"}
    if encoding:
        headers["content-encoding"] = encoding
    return Response(found.encodings[encoding], media_type=found.media_type, headers=headers)


async def favicon(request: AnyRequest) -> Response[bytes]:
    """The icon for programs that do not read the page."""
    name = next((name for name in _assets if name.startswith("favicon-")), "")
    if not name:
        return Response(b"", status_code=404, media_type="text/plain")
    return Response(b"", status_code=302, headers={"location": f"/assets/{name}", "cache-control": BRIEFLY}, media_type="text/plain")


async def service_worker(request: AnyRequest) -> Response[bytes]:
    """The script that shows pushes. At the root, so that it may open any page; asked for anew each time, so that a fix arrives."""
    name = next((name for name in _assets if name.startswith("service-worker-")), "")
    if not name:
        return Response(b"", status_code=404, media_type="text/plain")
    headers = {"cache-control": "no-cache", "service-worker-allowed": "/"}
    return Response(_assets[name].encodings[""], media_type="text/javascript", headers=headers)


route_handlers = [
    HTTPRouteHandler("/service-worker.js", http_method="GET", include_in_schema=False)(service_worker),
    HTTPRouteHandler("/assets/{name:str}", http_method="GET", include_in_schema=False)(asset),
    HTTPRouteHandler("/favicon.ico", http_method="GET", include_in_schema=False)(favicon),
]
