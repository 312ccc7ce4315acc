"""What the composer's form means as a draft, and the publication of one."""
from __future__ import annotations

import grpc

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import drafting_service_pb2 as drafting
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1.drafting_events_pb2 import DraftContent

from ..http import AnyRequest, clients
from .common import Posted

POLL_MINUTES_MAX = 366 * 24 * 60


def content_of(wanted: feed.PublishPostRequest, form: Posted, held: DraftContent | None = None) -> DraftContent:
    """The draft that becomes the post which is asked for; pictures of before stay unless another comes or they are dropped."""
    content = DraftContent(
        body=wanted.body, language=wanted.language, parent_id=wanted.parent_id, attachments=wanted.attachments, kind=wanted.kind,
        warning=wanted.warning, sensitive=wanted.sensitive, quoted_id=wanted.quoted_id, praised_ids=wanted.praised_ids,
        praise_value=wanted.praise_value,
    )
    if wanted.audience.WhichOneof("kind"):
        content.audience.CopyFrom(wanted.audience)
    if wanted.HasField("poll"):
        content.poll.CopyFrom(wanted.poll)
        content.poll.ClearField("close_time")
        minutes = form.text("poll_minutes", 6)
        content.poll_seconds = min(int(minutes), POLL_MINUTES_MAX) * 60 if minutes.isdigit() else 86_400
    if held is not None:
        if not content.attachments and not form.text("drop_image"):
            content.attachments.extend(held.attachments)
        if not content.parent_id:
            content.parent_id = held.parent_id
    return content


async def publish_draft(request: AnyRequest, form: Posted, wanted: feed.PublishPostRequest) -> feed.Post | None:
    """Publish what the form says as the draft that it was kept as; None where it was kept as none, or that is gone.

    Raises:
        RpcError: it is refused.
    """
    draft_id = form.text("draft_id", 40)
    if len(draft_id) != 36:
        return None
    service = clients(request).drafting
    try:
        held = await service.GetDraft(drafting.GetDraftRequest(draft_id=draft_id))
        await service.SaveDraft(drafting.SaveDraftRequest(draft_id=draft_id, content=content_of(wanted, form, held.content)))
    except RpcError as error:
        # Gone: thrown away on another device, or published by this very form before, which the next call tells apart.
        if error.code() not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION):
            raise
    try:
        return await service.PublishDraft(drafting.PublishDraftRequest(draft_id=draft_id, request_id=wanted.request_id))
    except RpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return None
