"""What other systems send without an account: messages to incoming hooks, and later answers to commands. The secret is in the address.

Messages have the form `{"text": ..., "title": ..., "username": ...}`, or that of Slack's incoming webhooks, as far as it is text.
"""
from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Response, post

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import integration_service_pb2 as integrations

from .http import AnyRequest, as_gateway, asked, clients, gateway
from .mastodon import params
from .problems import Refusal, refusal_of

TITLE_CHARACTERS: Final = 200
ATTACHMENTS_MAX: Final = 20


def _read(request: AnyRequest) -> dict[str, Any]:
    body, media_type = asked(request).body, request.headers.get("content-type", "")
    found = params.read(b"", body, media_type).values if body else {}
    held = found.get("payload")
    if isinstance(held, str) and len(found) == 1:  # as a form, the way some senders do it
        found = params.of_json(held.encode())
    return found


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise Refusal(400, f"{name} is a text without the NUL character.", field=name)
    return value.strip()


def message_of(values: dict[str, Any]) -> tuple[str, list[str]]:
    """The text of a message as Markdown, and what of it is left out.

    Raises:
        Refusal: 400, there is no text in it.
    """
    warnings: list[str] = []
    parts = [f"**{_text(values, 'title')[:TITLE_CHARACTERS]}**"] if _text(values, "title") else []
    parts.append(_text(values, "text"))
    attachments = values.get("attachments")
    if isinstance(attachments, list):
        if len(attachments) > ATTACHMENTS_MAX:
            warnings.append(f"Only the first {ATTACHMENTS_MAX} attachments are shown.")
        for each in attachments[:ATTACHMENTS_MAX]:
            if isinstance(each, dict):
                parts += [_text(each, name) for name in ("pretext", "title", "text") if each.get(name)]
                if not any(each.get(name) for name in ("pretext", "title", "text")) and each.get("fallback"):
                    parts.append(_text(each, "fallback"))
    if values.get("blocks"):
        warnings.append("blocks are not shown: send text.")
    if _text(values, "username"):
        warnings.append("username is not used: messages bear the name of the hook.")
    warnings += [
        f"{name} is not used." for name in sorted(set(values) - {"text", "title", "username", "attachments", "blocks"})[:20]
    ]
    text = "\n\n".join(part for part in parts if part)
    if not text:
        raise Refusal(400, 'Send a text: {"text": "The build is green."}.', field="text")
    return text, warnings


def _answer(body: dict[str, Any], status: int) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")


@post("/api/v1/integrations/in/{hook_id:str}/{secret:str}", status_code=201, include_in_schema=False)
async def take_message(request: AnyRequest) -> Response[bytes]:
    """Post a message of another system as the hook's bot."""
    text, warnings = message_of(_read(request))
    most = gateway(request).context.settings.post_characters_max
    if len(text) > most:
        raise Refusal(400, f"The text has {len(text):,} characters; a post has at most {most:,}.", field="text")
    ask = integrations.PostByIncomingHookRequest(
        hook_id=str(request.path_params["hook_id"])[:36], secret=str(request.path_params["secret"])[:200], body=text,
    )
    try:
        with as_gateway(request):
            made = await clients(request).integrations.PostByIncomingHook(ask)
    except RpcError as error:
        raise refusal_of(error) from error
    return _answer({"post_id": made.post_id, "warnings": warnings}, 201)


@post("/api/v1/integrations/responses/{token:str}", status_code=201, include_in_schema=False)
async def take_response(request: AnyRequest) -> Response[bytes]:
    """Say more to a command, within half an hour."""
    values = _read(request)
    ask = integrations.RespondToCommandRequest(
        token=str(request.path_params["token"])[:200], text=_text(values, "text"), in_thread=values.get("response_type") == "in_thread",
    )
    try:
        with as_gateway(request):
            made = await clients(request).integrations.RespondToCommand(ask)
    except RpcError as error:
        raise refusal_of(error) from error
    return _answer({"post_id": made.post_id}, 201)


route_handlers = [take_message, take_response]

