"""The OpenAPI 3.1 document, made from the declared operations: what is checked is what is documented."""
from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec
from litestar import get
from litestar.response.base import ASGIResponse

from .. import problems
from .operations import OPERATIONS, Input, Operation

VERSION = "1.0.0"
_REF = "#/components/schemas/{name}"
_TAGS = {
    "people": "People, their profiles, roles and comings and goings.",
    "organization": "The organisation, its chart and the groups of its directory.",
    "sign-in": "Sessions, invitations, passwords and personal access tokens.",
    "posts": "Posts, replies, reactions.",
    "feeds": "Timelines.",
    "drafts": "Drafts and scheduled posts.",
    "reading": "Mutes, blocks, notes, lists, filters and markers, which nobody else learns of; and custom emoji.",
    "topics": "Tags.",
    "broadcasts": "Announcements: who is told, who has read it, and the proof.",
    "asking": "Questions and best answers, experts, thanks, and questions to leaders.",
    "ideas": "Ideas with votes, a sponsor and a state.",
    "communities": "Communities and their members.",
    "inbox": "Notifications.",
    "search": "Search.",
    "uploads": "Images.",
    "imports": "Imports, for administrators.",
    "integrations": "Apps, webhooks, bots and their commands.",
    "operation": "For those who operate the network.",
}
_ERRORS: dict[str, str] = {
    "400": "Something in the request is wrong; `field` names it.",
    "401": "Nobody is signed in, or the access token is not valid.",
    "403": "Not allowed, by role or by the token's scopes.",
    "404": "It does not exist, or the caller may not know that it does.",
    "409": "The present state does not allow it, or something that must be unique is taken.",
    "412": "Somebody changed it since the version named in If-Match.",
    "413": "The request is too large.",
    "415": "The request is not of a type that is understood here.",
    "422": "The Idempotency-Key was used for another request.",
    "429": "Too many requests; Retry-After says when to try again.",
    "503": "Not just now; Retry-After says when to try again.",
}


@cache
def document() -> dict[str, Any]:
    """The document."""
    kinds: list[Any] = [problems.ProblemDetails]
    for each in OPERATIONS:
        kinds += [kind for kind in (each.body, each.answer) if kind is not None]
    _, schemas = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Watercooler",
            "version": VERSION,
            "description": (
                "The internal social network. Send an access token as `Authorization: Bearer wct_...`; a browser that is signed in sends "
                "its cookie and the header `X-CSRF-Token`. Errors are problem details (RFC 9457). docs/api.md is a guide."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "externalDocs": {"url": "/api/asyncapi.json", "description": "The events of the network, as an AsyncAPI 3 document."},
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "access_token": {"type": "http", "scheme": "bearer", "description": "A personal access token, wct_..."},
                "session": {"type": "apiKey", "in": "cookie", "name": "watercooler_session", "description": "A web session."},
            },
            "responses": {
                code: {
                    "description": text,
                    "content": {problems.MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="ProblemDetails")}}},
                }
                for code, text in _ERRORS.items()
            },
        },
    }


def _operation(declared: Operation) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 100}}
        for name in re.findall(r"\{(\w+)\}", declared.path)
    ]
    if declared.query is not None:
        parameters += _query(declared.query)
    if declared.is_edit:
        parameters.append(_header("If-Match", "The ETag of what was read; the change is refused (412) when it is not current.", 200))
    if declared.method == "POST" and not declared.public and not declared.takes_file:
        parameters.append(_header("Idempotency-Key", "Makes a repeated request get the first answer again, for 24 hours.", 255))
    errors = {"400", "404", "409", "413", "429", "503"}
    if not declared.public:
        errors |= {"401", "403"}
    else:
        errors |= {"401"}
    if declared.is_edit:
        errors |= {"412"}
    if declared.body is not None or declared.takes_file:
        errors |= {"403", "415"}
    if declared.method == "POST":
        errors |= {"403", "422"}
    responses: dict[str, Any] = {code: {"$ref": f"#/components/responses/{code}"} for code in sorted(errors)}
    responses[str(declared.status)] = _success(declared)
    told: dict[str, Any] = {
        "operationId": declared.name,
        "summary": declared.summary,
        "description": declared.description,
        "tags": [declared.tag],
        "parameters": parameters,
        "responses": dict(sorted(responses.items())),
        "security": [{}] if declared.public else [{"access_token": []}, {"session": []}],
    }
    if declared.body is not None:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(declared.body)}}}
    if declared.takes_file:
        told["requestBody"] = {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object", "required": ["file"],
                        "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
                    }
                }
            },
        }
    return told


def _success(declared: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": declared.summary + "."}
    if declared.answer is not None:
        answer["content"] = {"application/json": {"schema": _ref(declared.answer)}}
    if declared.downloads:
        answer["content"] = {declared.downloads: {"schema": {"type": "string", "contentMediaType": declared.downloads}}}
    if declared.streams:
        answer["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    if declared.is_edit:
        answer["headers"] = {"ETag": {"description": "The version to name in If-Match.", "schema": {"type": "string"}}}
    return answer


def _ref(kind: type[Any]) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _header(name: str, description: str, most: int) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": most}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _query(kind: type[Input]) -> list[dict[str, Any]]:
    (_,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    schema = components[kind.__name__]
    required = set(schema.get("required", ()))
    found: list[dict[str, Any]] = []
    for name, held in schema["properties"].items():
        held = _without_null(held)
        description = held.pop("description", "")
        entry: dict[str, Any] = {"name": name, "in": "query", "required": name in required, "schema": held}
        if description:
            entry["description"] = description
        if held.get("type") == "array":
            entry |= {"style": "form", "explode": True}
        found.append(entry)
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is absent is what null is elsewhere."""
    schema = dict(schema)
    if schema.get("default", ...) is None:
        del schema["default"]
    options = schema.pop("anyOf", None)
    if options is not None:
        (only,) = [each for each in options if each != {"type": "null"}]
        schema = {**only, **schema}
    if "enum" in schema:
        schema["enum"] = [each for each in schema["enum"] if each is not None]
    return schema


@cache
def _encoded() -> bytes:
    return msgspec.json.encode(document())


@get("/api/openapi.json", include_in_schema=False)
async def openapi_json() -> ASGIResponse:
    """The OpenAPI document."""
    return ASGIResponse(body=_encoded(), media_type="application/json", headers={"cache-control": "no-cache"})
