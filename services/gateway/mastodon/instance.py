"""What this network is and what it allows, as clients ask before anything else."""
from __future__ import annotations

import base64
from typing import Any, Final
from urllib.parse import urlsplit

from libs.blobs.images import FORMATS
from libs.rpc import auth, errors
from libs.rpc.errors import RpcError
from libs.text import markdown
from watercooler.feed.v1 import delivery_service_pb2 as delivery
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import policy_service_pb2 as policy
from watercooler.identity.v1 import identity_service_pb2 as identity

from . import entities
from .entities import Entity
from .media import DESCRIPTION_CHARACTERS
from .router import Call, route
from .statuses import POLL_SECONDS_LEAST, POLL_SECONDS_MOST

# The version whose behaviour clients may expect: they compare it to find out what they can call.
MASTODON: Final = "4.3.0"
VERSION: Final = "0.1.0"
API_VERSION: Final = 2
LANGUAGES: Final = ["en", "de"]
ATTACHMENTS: Final = 4
OPTIONS: Final = 10
OPTION_CHARACTERS: Final = 100
RULES: Final = 50


def version(call: Call) -> str:
    """Which version this is, to clients."""
    return f"{MASTODON} (compatible; Watercooler {VERSION})"


async def _name(call: Call) -> str:
    held = call.gateway.site.organization_name
    if held is not None:
        return held
    with _as_gateway(call):
        name = (await call.clients.identity.GetOrganization(identity.GetOrganizationRequest())).name
    call.gateway.site.set_organization_name(name)
    return name


def _as_gateway(call: Call) -> Any:
    return auth.acting(call.gateway.context.tokens.sign(auth.Caller(service="gateway")))


async def rules_of(call: Call) -> list[Entity]:
    """The lines of the organisation's guidelines; none where there are none, or nobody is signed in."""
    if call.asked.principal is None:
        return []
    held = await call.clients.policy.GetPolicy(policy.GetPolicyRequest())
    lines = [each.strip() for each in markdown.plain(held.guidelines[:markdown.BODY_LENGTH_MAX]).splitlines()] if held.guidelines else []
    return [
        {"id": str(number), "text": line, "hint": "", "translations": {}} for number, line in enumerate([each for each in lines if each], 1)
    ][:RULES]


async def push_key(call: Call) -> str:
    """The key that pushes are signed with; empty where it is not known."""
    try:
        with _as_gateway(call):
            found = await call.clients.delivery.GetPushKey(delivery.GetPushKeyRequest())
    except RpcError as error:
        if errors.problem_of(error) is None:
            raise
        return ""
    return base64.urlsafe_b64encode(found.public_key).decode().rstrip("=")


def configuration(call: Call) -> Entity:
    """What fits into a post, a picture and a poll."""
    settings = call.gateway.context.settings
    return {
        "accounts": {
            "max_featured_tags": 0, "max_pinned_statuses": 5, "max_profile_fields": 20, "profile_field_name_limit": 255,
            "profile_field_value_limit": 255, "max_display_name_length": 200, "max_note_length": 10_000,
            "max_avatar_description_length": 0, "max_header_description_length": 0,
        },
        "statuses": {
            "max_characters": markdown.BODY_LENGTH_MAX, "max_media_attachments": ATTACHMENTS, "characters_reserved_per_url": 23,
            "supported_mime_types": ["text/plain", "text/markdown"],
        },
        "media_attachments": {
            "supported_mime_types": sorted(f"image/{each.lower()}" for each in FORMATS), "image_size_limit": settings.image_bytes_max,
            "image_matrix_limit": settings.image_pixels_max, "video_size_limit": 0, "video_frame_rate_limit": 0,
            "video_matrix_limit": 0, "description_limit": DESCRIPTION_CHARACTERS,
        },
        "polls": {
            "max_options": OPTIONS, "max_characters_per_option": OPTION_CHARACTERS, "min_expiration": POLL_SECONDS_LEAST,
            "max_expiration": POLL_SECONDS_MOST,
        },
    }


def _streaming(call: Call) -> str:
    return "ws" + call.site.base.removeprefix("http")


@route("GET", "/api/v1/instance")
async def instance(call: Call) -> Any:
    """This network, as older clients ask."""
    name = await _name(call)
    with _as_gateway(call):
        engagement = await call.clients.feed.GetEngagement(feed.GetEngagementRequest())
        people = await call.clients.identity.ListPeople(identity.ListPeopleRequest(page_size=1))
    signed_in = call.asked.principal is not None
    return {
        "uri": urlsplit(call.site.base).netloc, "title": name, "short_description": f"The internal network of {name}.",
        "description": f"The internal network of {name}.", "email": "", "version": version(call),
        "urls": {"streaming_api": _streaming(call)},
        "stats": {
            "user_count": people.total_size if signed_in else 0,
            "status_count": engagement.post_count + engagement.reply_count if signed_in else 0, "domain_count": 1,
        },
        "thumbnail": f"{call.site.base}/avatars/header.png", "languages": LANGUAGES, "registrations": False, "approval_required": False,
        "invites_enabled": False, "configuration": configuration(call), "contact_account": None, "rules": await rules_of(call),
    }


@route("GET", "/api/v2/instance")
async def instance_v2(call: Call) -> Any:
    """This network."""
    name, base = await _name(call), call.site.base
    with _as_gateway(call):
        engagement = await call.clients.feed.GetEngagement(feed.GetEngagementRequest())
    feeds = {"local": "authenticated", "remote": "authenticated"}
    return {
        "domain": urlsplit(base).netloc, "title": name, "version": version(call), "source_url": f"{base}/",
        "description": f"The internal network of {name}.",
        "usage": {"users": {"active_month": engagement.active_people_week if call.asked.principal is not None else 0}},
        "thumbnail": {
            "url": f"{base}/avatars/header.png", "blurhash": entities.BLURHASH,
            "versions": {"@1x": f"{base}/avatars/header.png", "@2x": f"{base}/avatars/header.png"},
        },
        "icon": [{"src": f"{base}/avatars/group.png", "size": "120x120"}], "languages": LANGUAGES,
        "configuration": {
            **configuration(call), "translation": {"enabled": False},
            "urls": {"streaming": _streaming(call), "about": f"{base}/"},
            "vapid": {"public_key": await push_key(call)}, "limited_federation": True,
            "timelines_access": {"live_feeds": feeds, "hashtag_feeds": feeds, "trending_link_feeds": feeds},
        },
        "registrations": {
            "enabled": False, "approval_required": False, "message": None, "url": None, "reason_required": None, "min_age": None,
        },
        "api_versions": {"mastodon": API_VERSION}, "contact": {"email": "", "account": None}, "rules": await rules_of(call),
    }


@route("GET", "/api/v1/instance/rules")
async def rules(call: Call) -> Any:
    """The organisation's guidelines, line by line."""
    return await rules_of(call)


@route("GET", "/api/v1/instance/peers")
@route("GET", "/api/v1/instance/activity")
@route("GET", "/api/v1/instance/domain_blocks")
@route("GET", "/api/v1/instance/moderators")
async def nothing(call: Call) -> Any:
    """A network of its own has no peers, and does not tell the world how busy it is."""
    return []


@route("GET", "/api/v1/instance/translation_languages")
async def no_translations(call: Call) -> Any:
    """Nothing is translated."""
    return {}


@route("GET", "/api/v1/instance/languages")
async def languages(call: Call) -> Any:
    """The languages of the pages."""
    return [{"code": "en", "name": "English"}, {"code": "de", "name": "Deutsch"}]


@route("GET", "/api/v1/instance/extended_description")
async def extended_description(call: Call) -> Any:
    """What the network says of itself: the guidelines, to those who are signed in."""
    held = await call.clients.policy.GetPolicy(policy.GetPolicyRequest()) if call.asked.principal is not None else policy.Policy()
    return {"updated_at": entities.of_seconds(0), "content": entities.rendered(held.guidelines, call.site)}


@route("GET", "/api/v1/instance/privacy_policy")
@route("GET", "/api/v1/instance/terms_of_service")
async def no_document(call: Call) -> Any:
    """What holds between a company and its people is written elsewhere."""
    return {"updated_at": entities.of_seconds(0), "effective_date": "1970-01-01", "effective": True, "content": ""}
