"""A Slack export: a ZIP of users.json, channels.json and a folder of daily message files for each channel."""
from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1.feed_service_pb2 import CommunityRecord, PostRecord, RecordedReaction
from watercooler.identity.v1.identity_service_pb2 import BatchGetPeopleRequest, FindPersonRequest, ListPeopleRequest, Person

from . import records, slack_text
from .mapping import ImportMapping, Part
from .mapping import parse as parse_mapping
from .readers.model import RECORDS_MAX, Record
from .run import LEFT_OUT, REFUSED, UNCHANGED, Found, Item, Ready, Run
from .tree import Broken, json_value
from .values import Unusable, text

ENTRIES_MAX = 200_000
ENTRY_BYTES_MAX = 64 << 20
EXPANSION_MAX = 1_000
NAMES_AT_ONCE = 200

DEFAULT = """
source: slack
parts:
  - kind: slack
    key: id
    fields:
      name: [real_name, profile.real_name, profile.display_name, name]
      email: profile.email
      handle: name
      title: profile.title
      pronouns: profile.pronouns
      time_zone: tz
"""

# What Slack itself writes about a channel is no message of a person.
_WRITTEN_BY_PEOPLE = ("", "me_message", "thread_broadcast", "file_share", "file_comment", "reply_broadcast")
_HANDLE = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,62}[a-z0-9_])?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.json")


class Unreadable(Exception):
    """The export as a whole cannot be read; the text says why and what would do."""


@dataclass(slots=True)
class Archive:
    """An opened export, of which nothing is unpacked to disk."""

    file: zipfile.ZipFile
    names: dict[str, zipfile.ZipInfo]
    refused: list[tuple[str, str]]

    def json(self, name: str) -> Any:
        """A member as JSON.

        Raises:
            Broken: it is no JSON, larger than it says, or damaged.
        """
        try:
            with self.file.open(self.names[name]) as member:
                content = member.read(ENTRY_BYTES_MAX + 1)
        except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
            raise Broken(f"cannot be unpacked: {error}") from None
        except Exception as error:  # zlib, bz2 and lzma each have an error of their own for damaged data
            raise Broken(f"is damaged: {error}") from None
        if len(content) > ENTRY_BYTES_MAX:
            raise Broken(f"has more than {ENTRY_BYTES_MAX >> 20} MiB")
        try:
            return json_value(content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise Broken("is not UTF-8") from None


def opened(path: Path, bytes_max: int) -> Archive:
    """Open an export and look at what it claims to hold before anything is unpacked.

    Raises:
        Unreadable: it is no ZIP, too large, or expands beyond reason.
    """
    try:
        if path.is_dir():
            raise Unreadable(f"{path} is a folder: give the ZIP file that Slack made")
        size = path.stat().st_size
        if size > bytes_max:
            raise Unreadable(f"{path.name} has {size:,} bytes, more than {bytes_max:,}: raise the setting import_bytes_max")
        file = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Unreadable(f"{path.name} is no ZIP file: {error}") from None
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}") from None
    members = file.infolist()
    if len(members) > ENTRIES_MAX:
        raise Unreadable(f"{path.name} holds more than {ENTRIES_MAX:,} files")
    unpacked = sum(member.file_size for member in members)
    if unpacked > bytes_max or unpacked > max(size, 1 << 16) * EXPANSION_MAX:
        raise Unreadable(f"{path.name} would unpack to {unpacked:,} bytes, more than {bytes_max:,}: raise the setting import_bytes_max")
    names: dict[str, zipfile.ZipInfo] = {}
    refused: list[tuple[str, str]] = []
    for member in members:
        name = member.filename
        if member.is_dir():
            continue
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name or "\\" in name:
            refused.append((name, "the name leads out of the archive"))
        elif member.file_size > ENTRY_BYTES_MAX:
            refused.append((name, f"has more than {ENTRY_BYTES_MAX >> 20} MiB"))
        elif member.flag_bits & 1:
            refused.append((name, "is encrypted: export without a password"))
        elif name in names:
            refused.append((name, "stands twice in the archive: the first was taken"))
        else:
            names[name] = member
    return Archive(file, names, refused)


async def run(importer: Run, part: Part, path: Path) -> None:
    """Import users that are not known here, channels as communities, and messages as posts.

    Raises:
        Unreadable: the export as a whole cannot be read.
    """
    archive = opened(path, importer.bytes_max)
    with archive.file:
        export = _Export(importer, part, archive)
        for name, why in archive.refused:
            importer.tell(Found("files", name, REFUSED, why))
        await export.people()
        await importer.communities(export.communities())
        await importer.posts(export.posts())


def default_mapping() -> ImportMapping:
    """How a Slack export is read where no mapping file says otherwise."""
    return parse_mapping(DEFAULT, "slack", "slack")


def with_defaults(part: Part) -> Part:
    """A part whose missing fields are those of the default mapping."""
    default = default_mapping().parts[0]
    return replace(part, key=default.key, fields={**default.fields, **part.fields})


@dataclass(slots=True)
class _Export:
    """One export on its way in."""

    importer: Run
    part: Part
    archive: Archive
    keys: dict[str, str] = field(default_factory=dict)
    """The key by which a user's records name the person here."""
    handles: dict[str, str] = field(default_factory=dict)
    channels: dict[str, str] = field(default_factory=dict)
    """Names of channels by id."""
    folders: dict[str, str] = field(default_factory=dict)

    async def people(self) -> None:
        unknown: list[Ready] = []
        decided: list[Found] = []
        context = records.Context(replace(self.part, kind="people"), self.importer.lookups, self.importer.mapping.zone)
        for user, place in self._listed("users.json"):
            record = Record(place, user)
            try:
                user_id, name = text(user.get("id")).strip(), text(user.get("name"))
                if not user_id:
                    raise Unusable("the user has no id")
                if user.get("is_bot") == "true" or user_id == "USLACKBOT":
                    decided.append(Found("people", place, LEFT_OUT, "a bot, not a person"))
                    continue
                message, _ = records.person(context, record, {})
            except Unusable as error:
                decided.append(Found("people", place, REFUSED, str(error)))
                continue
            self.handles[user_id], self.keys[user_id] = message.profile.handle or name, user_id
            # What Slack lets stand here and the directory would not is no reason to refuse the person.
            if not _HANDLE.fullmatch(message.profile.handle):
                message.profile.handle = ""
            if message.profile.time_zone not in available_timezones():
                message.profile.time_zone = ""
            known = await self._known(message.profile.email, message.profile.name)
            if known is not None:
                self.keys[user_id], self.handles[user_id] = known.person_id, known.profile.handle
                decided.append(Found("people", place, UNCHANGED, "known here already", id=known.person_id))
                continue
            message.left = user.get("deleted") == "true"
            if message.left:
                message.fields.append("left")
            unknown.append(Ready(message))
        results = await self.importer.people([*decided, *unknown])
        await self._learn_handles({result.place: result.id for result in results if result.id}, unknown)

    async def _known(self, email: str, name: str) -> Person | None:
        """The person here with the user's e-mail address, or else the only one with the user's name."""
        identity = self.importer.identity
        if email:
            try:
                person: Person = await identity.FindPerson(FindPersonRequest(email=email))
                return person
            except RpcError as error:
                if error.code().name != "NOT_FOUND":
                    return None  # an address that is none: the import of the person says so
        if not name or len(name) > NAMES_AT_ONCE:
            return None
        page = await identity.ListPeople(ListPeopleRequest(query=name, all_states=True, page_size=NAMES_AT_ONCE))
        same = [each for each in page.people if name.casefold() in (each.display_name.casefold(), each.profile.name.casefold())]
        return same[0] if len(same) == 1 and not (email and same[0].profile.email) else None

    async def _learn_handles(self, ids: Mapping[str, str], sent: list[Ready]) -> None:
        if self.importer.dry_run:
            return
        by_id = {ids[ready.message.place]: ready.message.external_id for ready in sent if ready.message.place in ids}
        wanted = list(by_id)
        for start in range(0, len(wanted), NAMES_AT_ONCE):
            request = BatchGetPeopleRequest(person_ids=wanted[start : start + NAMES_AT_ONCE])
            for person in (await self.importer.identity.BatchGetPeople(request)).people:
                self.handles[by_id[person.person_id]] = person.profile.handle

    def communities(self) -> Iterator[Item]:
        for name, kind in (("channels.json", feed_events.COMMUNITY_KIND_OPEN), ("groups.json", feed_events.COMMUNITY_KIND_CLOSED)):
            if name not in self.archive.names and name != "channels.json":
                continue
            for channel, place in self._listed(name):
                try:
                    yield Ready(self._community(channel, kind, place))
                except Unusable as error:
                    yield Found("communities", place, REFUSED, str(error))
        for name in ("dms.json", "mpims.json"):
            if name in self.archive.names:
                yield Found("communities", name, LEFT_OUT, "private conversations between people are not imported")

    def _community(self, channel: Mapping[str, Any], kind: feed_events.CommunityKind.ValueType, place: str) -> CommunityRecord:
        channel_id, name = text(channel.get("id")).strip(), text(channel.get("name")).strip()
        if not channel_id or not name:
            raise Unusable("the channel has no id or no name")
        self.channels[channel_id], self.folders[name] = name, channel_id
        creator = text(channel.get("creator"))
        members = channel.get("members")
        listed = [text(each) for each in members] if isinstance(members, list) else []
        texts = [text(channel[each].get("value")) for each in ("purpose", "topic") if isinstance(channel.get(each), Mapping)]
        described = [slack_text.to_markdown(each, self.handles, self.channels) for each in texts if each]
        record = CommunityRecord(
            place=place, external_id=channel_id, name=name, kind=kind, description="\n\n".join(dict.fromkeys(described)),
            owner_keys=[self.keys[creator]] if creator in self.keys else [],
            member_keys=[self.keys.get(each, each) for each in listed if each != creator],
        )
        if created := text(channel.get("created")):
            record.create_time.FromDatetime(_moment(created))
        return record

    def posts(self) -> Iterator[Item]:
        count = 0
        for folder, channel_id in self.folders.items():
            roots: set[str] = set()
            days = sorted(n for n in self.archive.names if posixpath.dirname(n) == folder and _DAY.fullmatch(posixpath.basename(n)))
            for day in days:
                for message, place in self._listed(day, "posts"):
                    count += 1
                    if count > RECORDS_MAX:
                        yield Found("posts", place, REFUSED, f"there are more than {RECORDS_MAX:,} messages: the rest was not read")
                        return
                    try:
                        item = self._post(message, channel_id, place, roots)
                    except Unusable as error:
                        item = Found("posts", place, REFUSED, str(error))
                    if isinstance(item, Ready):
                        roots.add(text(message.get("ts")))
                    yield item

    def _post(self, message: Mapping[str, Any], channel_id: str, place: str, roots: set[str]) -> Item:
        subtype = text(message.get("subtype"))
        user, body = text(message.get("user")), text(message.get("text"))
        if subtype == "bot_message" or (message.get("bot_id") and not user):
            user = self.part.bots.get(text(message.get("bot_id")), "")
            if not user:
                who = text(message.get("username") or message.get("bot_id"))
                return Found("posts", place, LEFT_OUT, f"a message of the bot {who[:60]}: name a person for it under bots to import it")
            body = body or _attached(message)
        elif subtype not in _WRITTEN_BY_PEOPLE:
            return Found("posts", place, LEFT_OUT, f"Slack's own notice ({subtype[:40]})")
        elif subtype == "file_comment" and isinstance(message.get("comment"), Mapping):
            user = text(message["comment"].get("user"))
        body = body or _attached(message)
        stamp, thread = text(message.get("ts")), text(message.get("thread_ts"))
        record = PostRecord(
            place=place, external_id=f"{channel_id}/{stamp}", author_key=self.keys.get(user, user), community_external_id=channel_id,
            body=slack_text.to_markdown(body, self.handles, self.channels),
            parent_external_id=f"{channel_id}/{thread}" if thread and thread != stamp and thread in roots else "",
        )
        record.publish_time.FromDatetime(_moment(stamp))
        for reaction in message.get("reactions", ()):
            if isinstance(reaction, Mapping):
                users = reaction.get("users")
                keys = [self.keys.get(text(each), text(each)) for each in users] if isinstance(users, list) else []
                name = text(reaction.get("name"))
                record.reactions.append(RecordedReaction(emoji=slack_text.emoji(name) or f":{name}:", person_keys=keys))
        return Ready(record)

    def _listed(self, name: str, kind: str = "files") -> Iterator[tuple[Mapping[str, Any], str]]:
        """The objects of a member that is a list, with their places; what is none is told and passed over."""
        why = "" if name in self.archive.names else "is missing from the export"
        values: Any = []
        if not why:
            try:
                values = self.archive.json(name)
            except Broken as error:
                why = error.reason
        if not why and not isinstance(values, list):
            why = "is no list"
        if why:
            self.importer.tell(Found(kind, name, REFUSED, why))
            return
        for number, value in enumerate(values, 1):
            if isinstance(value, Mapping):
                yield value, f"{name}:{number}"
            else:
                self.importer.tell(Found(kind, f"{name}:{number}", REFUSED, "is no object"))


def _attached(message: Mapping[str, Any]) -> str:
    """What stands for the text where a message has only attachments or files."""
    parts: list[str] = []
    for name in ("attachments", "files"):
        listed = message.get(name)
        for each in listed if isinstance(listed, list) else []:
            if isinstance(each, Mapping):
                parts.append(text(each.get("text") or each.get("fallback") or each.get("title") or each.get("name")))
    return "\n".join(part for part in parts if part)


def _moment(stamp: str) -> datetime:
    """Slack writes times as seconds since 1970 with six decimals, which also tell two messages apart."""
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(Decimal(stamp) * 1_000_000))
    except (InvalidOperation, OverflowError, ValueError):
        raise Unusable(f"{stamp[:40]!r} is no time of Slack's") from None
