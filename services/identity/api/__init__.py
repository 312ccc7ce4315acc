"""The RPCs of identity: request to command to reply, request to query to reply; one module a subject."""
from __future__ import annotations

from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceServicer

from .groups import GroupsPart
from .imports import ImportsPart
from .organization import OrganizationPart
from .people import PeoplePart
from .sign_in import SignInPart
from .tokens import TokensPart


class IdentityApi(OrganizationPart, PeoplePart, GroupsPart, ImportsPart, SignInPart, TokensPart, IdentityServiceServicer):
    """The servicer of `watercooler.identity.v1.IdentityService`."""

    async def close(self) -> None:
        """Finish the letters and hashes under way."""
        await self.idle()
        self.passwords.close()
