"""The organisation's policy: everybody reads it, administrators change it."""
from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from libs.db.database import Transaction
from libs.eventstore.model import InvalidArgument, NotFound, PermissionDenied, Rejected
from libs.rpc import auth
from libs.rpc.auth import Caller
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import policy_service_pb2 as api
from watercooler.feed.v1.policy_service_pb2_grpc import PolicyServiceServicer

from ..commands import policy as commands
from ..deciders import acceptance, policy, watch
from ..queries import communities as community_queries
from ..queries import policy as queries
from .base import NO_COMMUNITY, Calls, person

_FIELDS = ("guidelines", "guidelines_required", "values", "anonymous_questions", "blocking_allowed", "watched_words")
POLICY = "policy-organization"


class PolicyApi(Calls, PolicyServiceServicer):
    """PolicyService."""

    async def GetPolicy(self, request: api.GetPolicyRequest, context: Any) -> api.Policy:
        """The policy, and whether the caller is to accept its guidelines."""
        return await self._policy(auth.caller())

    async def _policy(self, caller: Caller) -> api.Policy:
        async with self.database.snapshot() as tx:
            found = await queries.fetch_policy(tx)
            accepted = await queries.accepted_version(tx, caller.person_id) if caller.person_id else 0
        return api.Policy(
            guidelines=found.guidelines, guidelines_version=found.guidelines_version, guidelines_required=found.guidelines_required,
            values=found.values, anonymous_questions=found.anonymous_questions, blocking_allowed=found.blocking_allowed,
            watched_words=found.watched_words if caller.is_administrator else (), my_accepted_version=accepted,
            acceptance_due=bool(caller.person_id and found.guidelines and accepted < found.guidelines_version), etag=str(found.version),
        )

    async def ChangePolicy(self, request: api.ChangePolicyRequest, context: Any) -> api.Policy:
        """Change what `update_mask` names."""
        caller = administrator()
        unknown = sorted(set(request.update_mask) - set(_FIELDS))
        if unknown or not request.update_mask:
            raise InvalidArgument(f"update_mask names one or more of {', '.join(_FIELDS)}", "update_mask")
        mask = set(request.update_mask)
        command = commands.ChangePolicy(
            changer_id=caller.person_id, reason=request.reason.strip(), now=self.now(), ask_again=request.ask_again, etag=request.etag,
            guidelines=request.guidelines.strip() if "guidelines" in mask else None,
            guidelines_required=request.guidelines_required if "guidelines_required" in mask else None,
            values=tuple(value.strip() for value in request.values if value.strip()) if "values" in mask else None,
            anonymous_questions=request.anonymous_questions if "anonymous_questions" in mask else None,
            blocking_allowed=request.blocking_allowed if "blocking_allowed" in mask else None,
            watched_words=words_of(request.watched_words) if "watched_words" in mask else None,
        )
        await self.handle(caller, policy, POLICY, command, request.request_id)
        return await self._policy(caller)

    async def AcceptGuidelines(self, request: api.AcceptGuidelinesRequest, context: Any) -> api.Policy:
        """Note that the caller accepts the guidelines they read."""
        caller = person()
        async with self.database.snapshot() as tx:
            found = await queries.fetch_policy(tx)
        if not found.guidelines:
            raise Rejected("there are no guidelines: nothing needs to be accepted")
        if request.guidelines_version not in (0, found.guidelines_version):
            raise InvalidArgument("the guidelines were changed meanwhile: read the newer ones, then accept those", "guidelines_version")
        command = commands.AcceptGuidelines(
            person_id=caller.person_id, guidelines_version=found.guidelines_version, now=self.now()
        )
        await self.handle(caller, acceptance, f"acceptance-{caller.person_id}", command, request.request_id)
        return await self._policy(caller)

    async def GetWatch(self, request: api.GetWatchRequest, context: Any) -> api.Watch:
        """The words a community watches for."""
        async with self.database.snapshot() as tx:
            await moderated(tx, auth.caller(), request.community_id)
            words, version = await queries.fetch_watch(tx, request.community_id)
        return api.Watch(community_id=request.community_id, words=words, etag=str(version))

    async def ChangeWatch(self, request: api.ChangeWatchRequest, context: Any) -> api.Watch:
        """Replace the words a community watches for."""
        caller = person()
        async with self.database.snapshot() as tx:
            await moderated(tx, caller, request.community_id)
        command = commands.ChangeWatch(
            community_id=request.community_id, words=words_of(request.words), changer_id=caller.person_id, now=self.now(),
            etag=request.etag,
        )
        done = await self.handle(caller, watch, f"watch-{request.community_id}", command, request.request_id)
        return api.Watch(community_id=request.community_id, words=done.state.words, etag=str(done.version))


def administrator() -> Caller:
    """The calling administrator; raises PermissionDenied for everybody else."""
    caller = person()
    if not caller.is_administrator:
        raise PermissionDenied("only administrators can do this: ask one of them")
    return caller


async def moderated(tx: Transaction, caller: Caller, community_id: str) -> None:
    """Raises unless the caller moderates the community; administrators moderate the open and closed ones."""
    found = await community_queries.fetch_community(tx, caller, community_id) if community_id else None
    if found is None:
        raise NotFound(NO_COMMUNITY, "community_id")
    if found.my_role < events_pb2.MEMBER_ROLE_MODERATOR and not caller.is_administrator:
        raise PermissionDenied("only those who moderate the community can do this: ask one of them")


async def require_guidelines(tx: Transaction, caller: Caller) -> None:
    """Raises where the organisation wants the guidelines accepted before anybody writes, and the caller has not done so."""
    found = await queries.fetch_policy(tx)
    if found.guidelines_required and found.guidelines and await queries.accepted_version(tx, caller.person_id) < found.guidelines_version:
        raise PermissionDenied(
            "accept the guidelines for posts first: read them under Guidelines in the web interface, or GET /api/v1/policy and "
            "then POST /api/v1/policy/acceptance"
        )


def words_of(words: Iterable[str]) -> tuple[str, ...]:
    """Words to watch for, in one form and each once."""
    normal = (" ".join(unicodedata.normalize("NFC", word).split()) for word in words)
    return tuple(dict.fromkeys(word for word in normal if word))
