"""The manifest of identity: start reading here."""
from __future__ import annotations

from libs.runtime.service import Assembly, Context, Service, schema_of
from watercooler.identity.v1.app_service_pb2_grpc import add_AppServiceServicer_to_server
from watercooler.identity.v1.identity_service_pb2_grpc import add_IdentityServiceServicer_to_server

from . import projections
from .api import IdentityApi
from .api.apps import AppApi
from .deciders import app, authorization, group, organization, person, token
from .mail import Outbox, mail_of
from .passwords import Passwords
from .reactors import Clearing


def assemble(context: Context) -> Assembly:
    """Its running parts."""
    settings = context.settings
    passwords = Passwords(
        memory_kib=settings.password_hash_bytes // 1024, passes=settings.password_hash_passes, lanes=settings.password_hash_lanes
    )
    mail = mail_of(settings, context.database, context.now)
    api = IdentityApi(context, passwords, mail)
    return Assembly(
        servicers=[
            (add_IdentityServiceServicer_to_server, api), (add_AppServiceServicer_to_server, AppApi(context, passwords, mail)),
        ],
        reactors=[("identity", Clearing(context))],
        tasks=[mail.run] if isinstance(mail, Outbox) else [], close=api.close,
    )


SERVICE = Service(
    name="identity",
    summary="People, the organisation, groups of the directory, sign-in, access tokens and apps.",
    schema=schema_of(__package__),
    assemble=assemble,
    streams={
        "organization": organization, "person": person, "group": group, "token": token, "app": app, "authorization": authorization,
    },
    projections=projections.ALL,
    needs=("blob_url",),
)
