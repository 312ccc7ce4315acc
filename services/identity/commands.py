"""What can be asked of identity's streams; ids, actor, hashes and the time are inside."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from watercooler.identity.v1.events_pb2 import Profile, Role

# --- organization-<id> ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOrganization:
    organization_id: str
    name: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameOrganization:
    organization_id: str
    name: str


OrganizationCommand = CreateOrganization | RenameOrganization

# --- person-<id> ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPerson:
    """`password_hash` is empty for a person who gets an invitation; `manager_id` for one at the top."""

    person_id: str
    profile: Profile
    roles: Sequence[Role.ValueType]
    manager_id: str
    password_hash: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPerson:
    """A row of the directory: adds the person, or changes `fields` of the one there is."""

    person_id: str
    profile: Profile
    fields: Sequence[str]
    roles: Sequence[Role.ValueType]
    photo_blob_id: str
    external_key: str
    left: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeProfile:
    """Take `fields` from `profile`. `version` is the one the edit was made on, None for whichever."""

    person_id: str
    profile: Profile
    fields: Sequence[str]
    version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePhoto:
    """`photo_blob_id` is empty to remove the photo."""

    person_id: str
    photo_blob_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignManager:
    """`manager_id` is empty for the top of the chart."""

    person_id: str
    manager_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRole:
    person_id: str
    role: Role.ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeRole:
    person_id: str
    role: Role.ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitePerson:
    person_id: str
    secret_hash: str
    expire_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptInvitation:
    person_id: str
    secret_hash: str
    password_hash: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReset:
    person_id: str
    secret_hash: str
    expire_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPassword:
    person_id: str
    secret_hash: str
    password_hash: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword:
    """`replaces` is the hash the current password was checked against; `rehashed` when the password itself stays the same."""

    person_id: str
    password_hash: str
    replaces: str
    rehashed: bool = False
    ends_apps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OffboardPerson:
    person_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinstatePerson:
    person_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasePerson:
    person_id: str
    now: datetime


PersonCommand = (
    AddPerson | ImportPerson | ChangeProfile | ChangePhoto | AssignManager | GrantRole | RevokeRole | InvitePerson | AcceptInvitation
    | RequestReset | ResetPassword | ChangePassword | OffboardPerson | ReinstatePerson | ErasePerson
)

# --- group-<id> ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportGroup:
    """The group as its source has it: made or changed, its members (id and role) those named and no others."""

    group_id: str
    name: str
    kind: str
    parent_id: str
    description: str
    external_key: str
    members: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteGroup:
    group_id: str


GroupCommand = ImportGroup | DeleteGroup

# --- token-<id> ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueToken:
    """`expire_time` is None for a token that is valid until it is revoked; `app_id` is empty for a personal one."""

    token_id: str
    person_id: str
    name: str
    scopes: Sequence[str]
    secret_hash: str
    expire_time: datetime | None
    now: datetime
    app_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeToken:
    token_id: str


TokenCommand = IssueToken | RevokeToken

# --- app-<id> ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterApp:
    app_id: str
    name: str
    website: str
    redirect_uris: Sequence[str]
    scopes: Sequence[str]
    secret_hash: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveApp:
    app_id: str


AppCommand = RegisterApp | RemoveApp

# --- authorization-<id> --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeApp:
    """`app_redirect_uris` and `app_scopes` are those the app registered."""

    authorization_id: str
    app_id: str
    app_redirect_uris: Sequence[str]
    app_scopes: Sequence[str]
    person_id: str
    scopes: Sequence[str]
    redirect_uri: str
    code_hash: str
    code_challenge: str
    code_challenge_method: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemCode:
    """`token_id` is the id of the token that the code is to be exchanged for."""

    authorization_id: str
    app_id: str
    code_hash: str
    redirect_uri: str
    code_verifier: str
    token_id: str
    now: datetime


AuthorizationCommand = AuthorizeApp | RedeemCode
