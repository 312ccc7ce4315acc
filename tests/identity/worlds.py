"""Identity alone, set up with an administrator and an employee, and how its refusals are checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from libs.rpc import errors
from libs.testing.world import World
from watercooler.identity.v1.events_pb2 import Profile
from watercooler.identity.v1.identity_service_pb2 import CreatePersonRequest, Person, SetUpOrganizationRequest
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub

PASSWORD = "seven quiet lamps"


class Identity:
    """A stub of identity, and the people it was set up with."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stub: Any = world.stub(IdentityServiceStub, "identity")
        self.api: Any = world.embedded.assemblies["identity"].servicers[0][1]
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        self.api.now = lambda: self.time
        self.admin = Person()
        self.ann = Person()

    async def set_up(self) -> None:
        """One administrator, Ada, and one employee, Ann."""
        done = await self.stub.SetUpOrganization(
            SetUpOrganizationRequest(name="Harbour Works", person_name="Ada Abara", email="ada@example.com", password=PASSWORD)
        )
        self.admin = done.administrator
        self.ann = await self.create("Ann Bell", "ann@example.com", password=PASSWORD)

    async def create(self, name: str, email: str, **fields: Any) -> Person:
        """A new person, made by the administrator."""
        profile = fields.pop("profile", {})
        with self.as_admin():
            return await self.stub.CreatePerson(CreatePersonRequest(profile=Profile(name=name, email=email, **profile), **fields))

    def pass_time(self, **length: float) -> None:
        """Let time go by."""
        self.time += timedelta(**length)

    def as_admin(self) -> Any:
        """Calls made inside come from the administrator."""
        return self.world.acting_as(self.admin.person_id, ("employee", "administrator"))

    def as_person(self, person: Person, *roles: str, **more: Any) -> Any:
        """Calls made inside come from this person, an employee unless said otherwise."""
        return self.world.acting_as(person.person_id, roles or ("employee",), **more)

    def as_gateway(self) -> Any:
        """Calls made inside come from the gateway."""
        return self.world.acting_for("gateway")


@contextmanager
def refused(code: grpc.StatusCode, text: str = "", field: str | None = None) -> Iterator[errors.Problem]:
    """What is done inside is refused with this status, a reason that contains `text`, and the field at fault."""
    problem = errors.Problem(grpc.StatusCode.OK, "")
    try:
        yield problem
    except grpc.aio.AioRpcError as error:
        found = errors.read(error)
        assert found.code == code, found
        assert text.lower() in found.reason.lower(), found
        assert field is None or found.field == field, found
    else:
        raise AssertionError(f"nothing was refused, though {code.name} was expected")


INVALID = grpc.StatusCode.INVALID_ARGUMENT
DENIED = grpc.StatusCode.PERMISSION_DENIED
MISSING = grpc.StatusCode.NOT_FOUND
EXISTS = grpc.StatusCode.ALREADY_EXISTS
REFUSED = grpc.StatusCode.FAILED_PRECONDITION
ABORTED = grpc.StatusCode.ABORTED
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
NOBODY = grpc.StatusCode.UNAUTHENTICATED
