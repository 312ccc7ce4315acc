"""What real clients were recorded to ask of a Mastodon server, and what their sources ask for, is found and read here."""
from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from libs.testing.world import shared_data
from services.gateway.mastodon import params
from services.gateway.mastodon.router import ROUTES, Table

SHARED = shared_data()
RECORDED = SHARED / "data" / "microblog" / "mastodon-api-cassettes" if SHARED is not None else Path("nowhere")
LISTED = SHARED / "design" / "mastodon-endpoints.tsv" if SHARED is not None else Path("nowhere")
SOME_ID = "01900000-0000-7000-8000-000000000000"

# Answered elsewhere in the gateway: registration of apps.
ELSEWHERE = ("/api/v1/apps", "/api/v1/apps/verify_credentials")
# Not here: administration has its pages, and what is left needs another server, or is another server's own.
NOT_HERE = re.compile(
    r"/api/v[12]/admin/.*|/api/v1/follows|/api/v1/collections/.+|/api/v1/pleroma/.*|/api/v1/translate|/api/v1/following"
    r"|/api/v1/accounts/[^/]+/email_subscriptions|/api/v1/lists/[^/]+/accountsconst|/api/v2/filters/statuses/.*"
    rf"|/api/v1/(timelines|tags/[^/]+|statuses/[^/]+|accounts/[^/]+)/{SOME_ID}"  # the last part is named while a client runs
)
TABLE = Table(ROUTES)


def is_found(path: str, method: str = "") -> bool:
    """Whether a call answers at a path, by the method or by any."""
    found, allowed = TABLE.find(method or "TRACE", path)
    return found is not None or (not method and bool(allowed))


@pytest.mark.skipif(not LISTED.exists(), reason="the list of what clients ask for is not beside this repository")
def test_what_clients_ask_for_is_here() -> None:
    missing, asked = [], 0
    for line in LISTED.read_text("utf-8").splitlines():
        count, path, *_ = line.split("\t")
        if int(count) < 1 or not path.startswith(("v1/", "v2/")):
            continue
        asked += 1
        full = "/api/" + path.replace("{id}", SOME_ID)
        if not is_found(full) and full not in ELSEWHERE and not NOT_HERE.fullmatch(full):
            missing.append(full)
    assert missing == [] and asked > 100


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded exchanges are not beside this repository")
def test_recorded_requests_are_found_and_read() -> None:
    missing, read = [], 0
    for file in sorted(RECORDED.glob("*.yaml")):
        for exchange in yaml.load(file.read_text("utf-8"), yaml.CSafeLoader)["interactions"]:
            request, answered = exchange["request"], exchange["response"]["status"]["code"]
            url = urlsplit(request["uri"])
            path = re.sub(r"/\d{3,}(?=/|$)", f"/{SOME_ID}", url.path)
            if not path.startswith(("/api/v1/", "/api/v2/")) or answered >= 400 or path in ELSEWHERE or NOT_HERE.fullmatch(path):
                continue
            if not is_found(path, request["method"]):
                missing.append(f"{file.name}: {request['method']} {path}")
            body = request["body"] or b""
            kinds = request["headers"].get("Content-Type", [""])
            given = params.read(url.query.encode(), body if isinstance(body, bytes) else body.encode(), kinds[0])
            assert not body or given.values, f"{file.name}: nothing is read of {body!r}"
            read += 1
    assert missing == [] and read > 150
