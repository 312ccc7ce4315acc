"""What is typed as /name goes to a bot, and its answer to whoever typed it."""
from __future__ import annotations

import re
from typing import Final

import msgspec
from litestar import Response

from libs.text import markdown
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import integration_service_pb2 as pb

from ..http import AnyRequest, clients
from ..views_integrations import CommandAnswerFragment, CommandAnswerPage
from .common import Posted, fragment_shell, get, query, render, return_path, shell, wants_fragment

# A word that begins with a slash and holds no other: a path of a file is text.
_COMMAND: Final = re.compile(r"/[A-Za-z][A-Za-z0-9_-]{0,31}(?=\s|$)")


def is_command(form: Posted) -> bool:
    """Whether the text asks a bot."""
    return bool(_COMMAND.match(form.text("body", 3_000)))


async def ask(request: AnyRequest, form: Posted, *, parent_id: str = "", audience: Audience | None = None) -> pb.RunCommandResponse:
    """Ask the bot. Raises RpcError with the reason for the person who asks."""
    return await clients(request).integrations.RunCommand(
        pb.RunCommandRequest(text=form.text("body", 3_000), parent_id=parent_id, audience=audience)
    )


async def answered(request: AnyRequest, form: Posted, answer: pb.RunCommandResponse, back: str = "/") -> Response[bytes]:
    """What the bot said to the asker alone."""
    rendered = markdown.render(answer.text) if answer.text.strip() else ""
    if wants_fragment(request):
        shown = CommandAnswerFragment(
            shell=fragment_shell(request), bot_name=answer.bot_name, command=answer.command_name, text_html=rendered
        )
        return render(request, shown)
    return render(request, CommandAnswerPage(
        shell=await shell(request), bot_name=answer.bot_name, command=answer.command_name, text_html=rendered,
        back_url=return_path(request, form, back),
    ))


@get("/integrations/commands/suggest")
async def suggest(request: AnyRequest) -> Response[bytes]:
    """Commands that begin as what is typed, for the box."""
    found = await clients(request).integrations.ListCommands(
        pb.ListCommandsRequest(prefix=query(request, "q", 40).removeprefix("/"), community_id=query(request, "community", 36))
    )
    listed = [{"name": each.name, "hint": each.hint, "description": each.description, "bot": each.bot_name} for each in found.commands[:8]]
    return Response(msgspec.json.encode(listed), media_type="application/json")
