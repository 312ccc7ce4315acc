"""Who may ask, by cookie or access token, and what ends it."""
from __future__ import annotations

from .conftest import Network


async def test_me_by_token_and_by_cookie(network: Network) -> None:
    by_token = await network.administrator.get("/me")
    assert by_token.status_code == 200
    assert by_token.json()["person"]["display_name"] == "Ada Admin"
    assert by_token.json()["is_administrator"]
    assert by_token.json()["session_id"] is None

    browser = await network.browser(network.administrator)
    by_cookie = (await browser.get("/me")).json()
    assert by_cookie["person"]["id"] == network.administrator.id
    assert by_cookie["session_id"]


async def test_nobody_is_told_to_sign_in(network: Network) -> None:
    answer = await network.anybody.get("/me")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthenticated"
    assert answer.json()["trace_id"] == answer.headers["x-request-id"]
