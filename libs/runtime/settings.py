"""What can be set, where from, and what is wrong with it.

A value comes from the command line, else from the environment (`WATERCOOLER_PORT=8080`), else from a TOML file
(`port = 8080`; the file named by WATERCOOLER_CONFIG, else `watercooler.toml` in the data folder), else it is the default.
Nothing is guessed: a wrong value or an unknown name stops the start with every problem, where it stands and what would be right.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import secrets
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

PREFIX: Final = "WATERCOOLER_"
FILE_NAME: Final = "watercooler.toml"
FILE_BYTES_MAX: Final = 1 << 20
SECRET_BYTES_MAX: Final = 4096
SECRET_CHARACTERS_MIN: Final = 32

# Names in the environment that are not settings of a running network: where the file is, and what tests are given.
OTHER_NAMES: Final = ("WATERCOOLER_CONFIG", "WATERCOOLER_SHARED")


class SettingsError(Exception):
    """The settings cannot be used. Each of `problems` names the setting, what is wrong and where it was set."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Kind:
    """How the values of a setting are written, in words and as code. `read` raises ValueError for all others."""

    words: str
    read: Callable[[Any], Any]
    is_path: bool = False


def _bytes(amount: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if amount >= size and amount % size == 0:
            return f"{amount // size}{unit}"
    return f"{amount}B"


def _time(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def whole(least: int, most: int) -> Kind:
    """A whole number within limits."""

    def read(raw: Any) -> int:
        if isinstance(raw, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", raw.strip()):
            raw = int(raw)
        if isinstance(raw, bool) or not isinstance(raw, int) or not least <= raw <= most:
            raise ValueError
        return raw

    return Kind(f"a whole number from {least:,} to {most:,}", read)


def amount(least: int, most: int) -> Kind:
    """A number of bytes, written with or without a binary unit."""
    units = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

    def read(raw: Any) -> int:
        if isinstance(raw, str) and (match := re.fullmatch(r"([0-9]{1,15}) ?(|B|KiB|MiB|GiB)", raw.strip())):
            raw = int(match[1]) * units[match[2]]
        if isinstance(raw, bool) or not isinstance(raw, int) or not least <= raw <= most:
            raise ValueError
        return raw

    return Kind(f"bytes, from {_bytes(least)} to {_bytes(most)}, as in 512KiB or 10MiB", read)


def duration(least: timedelta, most: timedelta) -> Kind:
    """A length of time, written as a number and a unit."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}

    def read(raw: Any) -> timedelta:
        match = re.fullmatch(r"([0-9]{1,9}) ?([smhd])", raw.strip()) if isinstance(raw, str) else None
        if match is None:
            raise ValueError
        length = timedelta(seconds=int(match[1]) * units[match[2]])
        if not least <= length <= most:
            raise ValueError
        return length

    return Kind(f"a time from {_time(least)} to {_time(most)}, as in 30m, 12h or 30d", read)


def choice(*values: str) -> Kind:
    """One of a few words."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or raw.strip().lower() not in values:
            raise ValueError
        return raw.strip().lower()

    return Kind("one of " + ", ".join(values), read)


def folder(words: str = "a folder") -> Kind:
    """A path, relative to the current folder, or to its file where it stands in one."""

    def read(raw: Any) -> Path:
        if isinstance(raw, Path):
            return raw
        if not isinstance(raw, str) or not raw.strip() or "\0" in raw or len(raw) > 4096:
            raise ValueError
        return Path(raw).expanduser()

    return Kind(words, read, is_path=True)


def optional_path(words: str) -> Kind:
    """A path as `folder` takes it, or nothing."""
    some = folder(words)

    def read(raw: Any) -> Path | None:
        return None if isinstance(raw, str) and not raw.strip() else some.read(raw)

    return Kind(words, read, is_path=True)


def host_name() -> Kind:
    """A name or address to listen at."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or not re.fullmatch(r"[0-9A-Za-z.:_-]{1,253}", raw.strip()):
            raise ValueError
        return raw.strip()

    return Kind("a host name or an IP address", read)


def origin() -> Kind:
    """The beginning of every address people see, or nothing."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or len(raw) > 300:
            raise ValueError
        address = raw.strip().rstrip("/")
        parts = urlsplit(address)
        _ = parts.port  # raises ValueError for a port that is none
        if address and (parts.scheme not in ("http", "https") or not parts.hostname or address != f"{parts.scheme}://{parts.netloc}"):
            raise ValueError
        if parts.username is not None:
            raise ValueError
        return address

    return Kind("an address with nothing after the host, as in https://water.example.org", read)


def secret() -> Kind:
    """A text nobody else knows."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or len(raw.encode()) > SECRET_BYTES_MAX or len(raw.strip()) < SECRET_CHARACTERS_MIN:
            raise ValueError
        return raw.strip()

    return Kind(f"a text of at least {SECRET_CHARACTERS_MIN} characters", read)


def password() -> Kind:
    """A text that a server was given for us, or nothing; its own rules say how long it must be."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or len(raw.encode()) > SECRET_BYTES_MAX or "\0" in raw:
            raise ValueError
        return raw.strip()

    return Kind("a text of at most 4,096 bytes", read)


def url(*schemes: str, example: str) -> Kind:
    """An address of a server, or nothing."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or len(raw) > SECRET_BYTES_MAX:
            raise ValueError
        address = raw.strip()
        parts = urlsplit(address.replace("{service}", "service"))
        _ = parts.port  # raises ValueError for a port that is none
        if address and (parts.scheme not in schemes or not parts.netloc):
            raise ValueError
        return address

    return Kind(f"an address, as in {example}", read)


def addresses(example: str) -> Kind:
    """Hosts with ports, separated by commas, or nothing."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or len(raw) > 4096:
            raise ValueError
        found = [each.strip() for each in raw.split(",") if each.strip()]
        if not all(re.fullmatch(r"([a-z][a-z0-9_-]{0,39}=)?[0-9A-Za-z.:/_{}\[\]-]{1,253}:[0-9]{1,5}", each) for each in found):
            raise ValueError
        return ",".join(found)

    return Kind(f"hosts with ports, as in {example}", read)


def networks() -> Kind:
    """Addresses and networks of machines, separated by commas, or nothing."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or len(raw) > 4096:
            raise ValueError
        found = [each.strip() for each in raw.split(",") if each.strip()]
        return ",".join(str(ip_network(each, strict=False)) for each in found)  # raises ValueError for what is none

    return Kind("addresses or networks, as in 10.0.0.0/8,192.168.1.7", read)


def hosts() -> Kind:
    """Names or addresses of machines without ports, separated by commas, or nothing."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or len(raw) > 4096:
            raise ValueError
        found = [each.strip().lower() for each in raw.split(",") if each.strip()]
        if not all(re.fullmatch(r"[0-9a-z.:_-]{1,253}", each) for each in found):
            raise ValueError
        return ",".join(found)

    return Kind("names or addresses of machines, as in push.example.internal,10.1.2.3", read)


def word() -> Kind:
    """A short name without spaces, or nothing."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or not re.fullmatch(r"[0-9A-Za-z._@/+-]{0,128}", raw.strip()):
            raise ValueError
        return raw.strip()

    return Kind("a name without spaces", read)


def yes_or_no() -> Kind:
    """Whether something holds."""

    def read(raw: Any) -> bool:
        if isinstance(raw, bool):
            return raw
        if not isinstance(raw, str) or raw.strip().lower() not in ("true", "false"):
            raise ValueError
        return raw.strip().lower() == "true"

    return Kind("true or false", read)


def _about(kind: Kind, meaning: str, *, secret: bool = False) -> dict[str, Any]:
    return {"kind": kind, "meaning": meaning, "secret": secret}


_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, with its defaults. `load` makes one, checked; tests name what they need differently."""

    data: Path = field(default=Path("var"), metadata=_about(folder(), "The folder that holds everything the network keeps."))
    host: str = field(
        default="127.0.0.1",
        metadata=_about(host_name(), "Where to listen; `0.0.0.0` listens on every network of the machine."),
    )
    port: int = field(default=8000, metadata=_about(whole(0, 65535), "The port to listen at; 0 takes any free one."))
    public_url: str = field(
        default="",
        metadata=_about(origin(), "Where people reach the network, if not at `http://localhost:PORT`; links in invitations begin so."),
    )
    trusted_proxies: str = field(
        default="127.0.0.0/8,::1/128",
        metadata=_about(networks(), "The reverse proxies whose `X-Forwarded-For` says where a request comes from."),
    )
    secret_key: str = field(
        default="",
        repr=False,
        metadata=_about(
            secret(), "Signs the forms of pages against forgery. Where none is set, one is made and kept in the data folder.", secret=True
        ),
    )

    log_format: str = field(
        default="auto",
        metadata=_about(choice("auto", "console", "json"), "How the log is written; auto: console on a terminal, else JSON lines."),
    )
    log_level: str = field(
        default="info",
        metadata=_about(choice("debug", "info", "warning", "error"), "The least grave messages the log holds."),
    )

    session_lifetime: timedelta = field(
        default=timedelta(days=30), metadata=_about(duration(5 * _MINUTE, 365 * _DAY), "How long a sign-in lasts.")
    )
    invitation_lifetime: timedelta = field(
        default=timedelta(days=7), metadata=_about(duration(_HOUR, 90 * _DAY), "How long an invitation link works.")
    )
    reset_lifetime: timedelta = field(
        default=timedelta(hours=1), metadata=_about(duration(5 * _MINUTE, 7 * _DAY), "How long a password reset link works.")
    )

    password_hash_bytes: int = field(
        default=19 * _MIB,
        metadata=_about(amount(8 * _MIB, _GIB), "Memory that hashing one password takes (argon2id); a change renews each hash at sign-in."),
    )
    password_hash_passes: int = field(default=2, metadata=_about(whole(1, 20), "How often hashing a password goes through that memory."))
    password_hash_lanes: int = field(default=1, metadata=_about(whole(1, 16), "Lanes that hashing a password may compute side by side."))

    rate_reads_per_minute: int = field(
        default=1200, metadata=_about(whole(1, 1_000_000), "Requests that read, for each person or token and minute.")
    )
    rate_writes_per_minute: int = field(
        default=120, metadata=_about(whole(1, 1_000_000), "Requests that change something, for each person or token and minute.")
    )
    rate_sign_ins_per_minute: int = field(
        default=10, metadata=_about(whole(1, 10_000), "Attempts to sign in, for each account and each address and minute.")
    )

    question_routing_delay: timedelta = field(
        default=timedelta(hours=4),
        metadata=_about(duration(_MINUTE, 7 * _DAY), "How long a question waits for an answer before it is brought to likely experts."),
    )
    post_characters_max: int = field(default=10_000, metadata=_about(whole(140, 10_000), "The longest post, in characters."))
    mention_members_max: int = field(
        default=500,
        metadata=_about(
            whole(1, 1_000_000),
            "Members of a community or group whom anybody may notify by mentioning it; of larger ones, those who look after them may, "
            "communications, leaders and administrators.",
        ),
    )
    request_bytes_max: int = field(default=_MIB, metadata=_about(amount(64 * _KIB, 64 * _MIB), "The largest request that carries no file."))
    image_bytes_max: int = field(default=10 * _MIB, metadata=_about(amount(64 * _KIB, 100 * _MIB), "The largest image one may upload."))
    image_pixels_max: int = field(
        default=40_000_000, metadata=_about(whole(1_000_000, 200_000_000), "The most pixels an uploaded image may have.")
    )
    import_bytes_max: int = field(
        default=256 * _MIB, metadata=_about(amount(_MIB, 8 * _GIB), "The largest file to import people, communities or posts from.")
    )

    cache_database_bytes: int = field(
        default=16 * _MIB, metadata=_about(amount(_MIB, 16 * _GIB), "Memory for database pages, for each service.")
    )
    cache_rendered_posts: int = field(
        default=4096,
        metadata=_about(whole(0, 1_000_000), "Posts kept as rendered HTML, so that a busy timeline renders each only once."),
    )

    # The engines of a cluster. Where none is named, everything is kept in the data folder.

    database_url: str = field(
        default="",
        repr=False,
        metadata=_about(
            url("postgresql", "postgres", example="postgresql://user:password@host:5432/watercooler_{service}"),
            "PostgreSQL; `{service}` in it becomes the name of the service, which has a database of its own.", secret=True,
        ),
    )
    database_connections: int = field(
        default=16, metadata=_about(whole(2, 1000), "Connections to PostgreSQL that one process opens at most.")
    )
    database_timeout: timedelta = field(
        default=timedelta(seconds=30),
        metadata=_about(duration(timedelta(seconds=1), _HOUR), "How long one statement may take in PostgreSQL."),
    )

    kafka_brokers: str = field(
        default="",
        metadata=_about(addresses("kafka-0:9092,kafka-1:9092"), "Kafka: some of its brokers; the others are found through them."),
    )
    kafka_security: str = field(
        default="plaintext",
        metadata=_about(choice("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"), "How connections to Kafka are guarded."),
    )
    kafka_mechanism: str = field(
        default="scram-sha-512", metadata=_about(choice("plain", "scram-sha-256", "scram-sha-512"), "How we sign in to Kafka under SASL.")
    )
    kafka_username: str = field(default="", metadata=_about(word(), "Who we are to Kafka under SASL."))
    kafka_password: str = field(
        default="", repr=False, metadata=_about(password(), "The password of `kafka_username`.", secret=True)
    )
    kafka_ca_file: Path | None = field(
        default=None,
        metadata=_about(optional_path("a file"), "The certificates (PEM) by which Kafka's brokers are known; else the system's."),
    )
    kafka_prefix: str = field(
        default="", metadata=_about(word(), "Stands before every topic and group, where several networks share one Kafka.")
    )
    kafka_partitions: int = field(default=6, metadata=_about(whole(1, 1000), "Partitions of a new topic."))
    kafka_replication: int = field(default=1, metadata=_about(whole(1, 9), "Copies of each partition of a new topic; 3 in production."))
    kafka_retention: timedelta = field(
        default=timedelta(days=14),
        metadata=_about(duration(_HOUR, 3650 * _DAY), "How long topics keep events; older ones are read from the services' own logs."),
    )

    search_url: str = field(
        default="",
        metadata=_about(url("http", "https", example="https://opensearch:9200"), "OpenSearch, which then holds the search index."),
    )
    search_username: str = field(default="", metadata=_about(word(), "Who we are to OpenSearch."))
    search_password: str = field(
        default="", repr=False, metadata=_about(password(), "The password of `search_username`.", secret=True)
    )
    search_ca_file: Path | None = field(
        default=None, metadata=_about(optional_path("a file"), "The certificates (PEM) by which OpenSearch is known; else the system's.")
    )
    search_prefix: str = field(default="watercooler", metadata=_about(word(), "How the names of our indexes in OpenSearch begin."))
    search_shards: int = field(default=1, metadata=_about(whole(1, 100), "Primary shards of a new search index."))
    search_replicas: int = field(default=0, metadata=_about(whole(0, 9), "Copies of each shard; 1 in production."))

    blob_url: str = field(
        default="",
        metadata=_about(url("s3", example="s3://bucket/prefix"), "The bucket of an S3-compatible store, which then holds uploaded files."),
    )
    blob_endpoint: str = field(
        default="", metadata=_about(url("http", "https", example="https://s3.example.org"), "Where that store is, if not at Amazon.")
    )
    blob_region: str = field(default="us-east-1", metadata=_about(word(), "The region of the bucket."))
    blob_access_key: str = field(default="", metadata=_about(word(), "The access key id for the bucket."))
    blob_secret_key: str = field(
        default="", repr=False, metadata=_about(password(), "The secret that belongs to `blob_access_key`.", secret=True)
    )

    # Calls between services, where each is a process of its own.

    grpc_host: str = field(default="0.0.0.0", metadata=_about(host_name(), "Where a service listens for calls."))  # noqa: S104 - in a pod
    grpc_port: int = field(default=9000, metadata=_about(whole(0, 65535), "The port a service listens at for calls."))
    service_addresses: str = field(
        default="{service}:9000",
        metadata=_about(
            addresses("identity=10.0.0.7:9000,feed=10.0.0.8:9000"),
            "Where the other services are: one address with `{service}` in it, or one a service.",
        ),
    )
    keys: Path | None = field(
        default=None,
        metadata=_about(
            optional_path("a folder"),
            "The keys of tokens between services (Ed25519, as JWK or PEM files; the last by name signs); else `keys` in the data folder.",
        ),
    )
    proof_keys: Path | None = field(
        default=None,
        metadata=_about(
            optional_path("a folder"),
            "The keys that proofs of reach are signed with, as for `keys`; else those of `keys` where it is set, else `proof-keys` in the "
            "data folder.",
        ),
    )
    tls_certificate_file: Path | None = field(
        default=None,
        metadata=_about(optional_path("a file"), "Our certificate (PEM) for calls between services; without one they are plain."),
    )
    tls_key_file: Path | None = field(default=None, metadata=_about(optional_path("a file"), "The key (PEM) of `tls_certificate_file`."))
    tls_ca_file: Path | None = field(
        default=None, metadata=_about(optional_path("a file"), "The certificates (PEM) by which services know each other.")
    )
    tls_clients: str = field(
        default="optional",
        metadata=_about(choice("optional", "required"), "Whether callers must show a certificate signed by `tls_ca_file` (mutual TLS)."),
    )
    status_port: int = field(
        default=9090, metadata=_about(whole(0, 65535), "The port of a service's health and metrics (`/livez`, `/readyz`, `/metrics`).")
    )

    stop_pause: timedelta = field(
        default=timedelta(seconds=3),
        metadata=_about(
            duration(timedelta(0), timedelta(seconds=10)),
            "How long a stopping service goes on taking requests after it said that it is not ready, until load balancers know.",
        ),
    )

    smtp_url: str = field(
        default="",
        repr=False,
        metadata=_about(
            url("smtp", "smtps", example="smtps://user:password@mail.example.org"),
            "The server that sends invitations and other mail; without one they are files in the folder `mail`.", secret=True,
        ),
    )
    mail_sender: str = field(
        default="", metadata=_about(word(), "The address mail comes from; else watercooler@ and the host of `public_url`.")
    )
    oauth_password_grant: bool = field(
        default=False,
        metadata=_about(
            yes_or_no(), "Whether apps may sign people in by the password typed into them, as programs without a browser do; else never."
        ),
    )
    reading_hint: timedelta = field(
        default=timedelta(hours=8),
        metadata=_about(
            duration(_MINUTE, 365 * _DAY), "A post that takes its readers longer than this, all together, is written with a hint.",
        ),
    )
    link_previews: bool = field(
        default=True,
        metadata=_about(
            yes_or_no(), "Whether links in posts are looked up, to show what they lead to; the server then asks the machines they name."
        ),
    )
    link_preview_hosts: str = field(
        default="",
        metadata=_about(
            hosts(), "Machines of the own network whose pages are shown as previews of links, to all readers; others must be public."
        ),
    )
    private_hosts: str = field(
        default="",
        metadata=_about(
            hosts(), "Machines of the own network that may be asked all the same, without TLS too; others must be public and use https."
        ),
    )

    @property
    def address(self) -> str:
        """Where people reach the network: `public_url`, else this machine at its port."""
        return self.public_url or f"http://localhost:{self.port}"


def load(environ: Mapping[str, str] | None = None, command_line: Mapping[str, Any] | None = None) -> Settings:
    """The settings of this start. Raises SettingsError with every problem found.

    `environ` is os.environ by default; `command_line` holds what options set, by setting name; None means not given.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (command_line or {}).items() if value is not None}
    problems: list[str] = []
    values: dict[str, Any] = {}

    from_environ = _from_environ(environ, problems)
    # The data folder comes first: unless WATERCOOLER_CONFIG names it, the file is inside.
    nearer = from_environ | {name: (value, "command line") for name, value in given.items()}
    if "data" in nearer:
        _take(values, "data", *nearer["data"], problems)
    found = _from_file(environ, values.get("data", Settings().data), problems) | nearer
    for name in _kinds():
        if name in found and not (name == "data" and name in nearer):
            _take(values, name, *found[name], problems)
    if problems:
        raise SettingsError(problems)
    settings = Settings(**values)
    if problems := _together(settings, {name: source for name, (_, source) in found.items()}):
        raise SettingsError(problems)
    return settings


def service_address(settings: Settings, name: str) -> str:
    """Where a service is called, by `service_addresses`. Raises SettingsError where it names no address for it."""
    default = ""
    for each in settings.service_addresses.split(","):
        named, equals, address = each.partition("=")
        if equals and named == name:
            return address
        if not equals:
            default = each
    if not default:
        raise SettingsError([f"service_addresses: names no address of {name}; add {name}=HOST:PORT, or one address with {{service}}"])
    return default.replace("{service}", name)


def need(settings: Settings, *names: str, why: str) -> None:
    """Stop what cannot go on without these settings. Raises SettingsError with the name and an example of each one missing."""
    problems = []
    for name in names:
        if not getattr(settings, name):
            kind: Kind = _kinds()[name]
            example = kind.words.partition("as in ")[2]
            variable = PREFIX + name.upper()
            value = f"{variable}={example}" if example else f"{variable} to {kind.words}"
            either = f" (or {variable}_FILE to a file that holds it)" if name in _secrets() else ""
            problems.append(f"{name}: is not set, and {why} needs it; set {value}{either}")
    if problems:
        raise SettingsError(problems)


def signing_key(settings: Settings) -> str:
    """The secret key: the one set, else the one kept in the data folder, made there on first use and readable by its owner only.

    Raises SettingsError when the kept key is damaged, OSError when the folder cannot be written.
    """
    if settings.secret_key:
        return settings.secret_key
    kept = settings.data / "secret.key"
    if not kept.exists():
        settings.data.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=settings.data, prefix="secret.key.")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(48) + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was first; its key counts
                os.link(temporary, kept)
        finally:
            os.unlink(temporary)
    key = kept.read_text(encoding="utf-8", errors="replace").strip()
    if len(key) < SECRET_CHARACTERS_MIN:
        raise SettingsError([f"secret_key: {kept} is damaged; restore it from a backup, or remove it to have a new one made"])
    return key


def describe() -> list[tuple[str, str, str, str, str]]:
    """Every setting: its name, its name in the environment, its default, how it is written, what it means."""
    rows = []
    for setting in fields(Settings):
        variable = PREFIX + setting.name.upper()
        if setting.metadata["secret"]:
            variable += f" or {variable}_FILE"
        kind: Kind = setting.metadata["kind"]
        rows.append((setting.name, variable, _written(setting.default, kind), kind.words, setting.metadata["meaning"]))
    return rows


def table() -> str:
    """`describe` as a Markdown table, as docs/settings.md shows it."""
    lines = ["| setting | in the environment | default | written as | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, variable, default, words, meaning in describe():
        variables = " or ".join(f"`{each}`" for each in variable.split(" or "))
        lines.append(f"| `{name}` | {variables} | {f'`{default}`' if default else 'none'} | {words} | {meaning} |")
    return "\n".join(lines) + "\n"


def _together(settings: Settings, sources: Mapping[str, str]) -> list[str]:
    """What is wrong with settings that are right each by itself."""
    problems = []

    def complain(name: str, text: str) -> None:
        problems.append(f"{name}: {text} ({sources.get(name, 'default')})")

    for first, second in (
        ("tls_certificate_file", "tls_key_file"), ("search_username", "search_password"), ("blob_access_key", "blob_secret_key"),
    ):
        for name, other in ((first, second), (second, first)):
            if getattr(settings, name) and not getattr(settings, other):
                complain(name, f"has no use without {other}, which is not set")
    if settings.tls_ca_file and not settings.tls_certificate_file:
        complain("tls_ca_file", "has no use without tls_certificate_file, which is not set: services would speak without TLS")
    if settings.tls_clients == "required" and not settings.tls_ca_file:
        complain("tls_clients", "required needs tls_ca_file, by which the callers' certificates are known")
    if settings.kafka_security.startswith("sasl_"):
        for name in ("kafka_username", "kafka_password"):
            if not getattr(settings, name):
                complain("kafka_security", f"{settings.kafka_security} needs {name}, which is not set")
    if len([each for each in settings.service_addresses.split(",") if "=" not in each]) > 1:
        complain("service_addresses", "holds more than one address that names no service; write SERVICE=HOST:PORT for each")
    for name, kind in _kinds().items():
        path = getattr(settings, name)
        if kind.is_path and name.endswith("_file") and path is not None and not os.access(path, os.R_OK):
            complain(name, f"{path} is missing or cannot be read")
    return problems


def _kinds() -> dict[str, Kind]:
    return {setting.name: setting.metadata["kind"] for setting in fields(Settings)}


def _secrets() -> set[str]:
    return {setting.name for setting in fields(Settings) if setting.metadata["secret"]}


def _take(values: dict[str, Any], name: str, raw: Any, source: str, problems: list[str]) -> None:
    kind = _kinds()[name]
    try:
        values[name] = kind.read(raw)
    except ValueError:
        # A secret is never repeated, not even a wrong one: it may be right but for its length.
        shown = "the value" if name in _secrets() else _shown(raw)
        problems.append(f"{name}: {shown} is not {kind.words} ({source})")


def _from_environ(environ: Mapping[str, str], problems: list[str]) -> dict[str, tuple[Any, str]]:
    known = {PREFIX + name.upper(): name for name in _kinds()}
    files = {PREFIX + name.upper() + "_FILE": name for name in _secrets()}
    found: dict[str, tuple[Any, str]] = {}
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        value = environ[variable]
        if variable in OTHER_NAMES:
            continue
        if variable in known:
            found[known[variable]] = (value, f"environment variable {variable}")
        elif variable in files:
            name = files[variable]
            if PREFIX + name.upper() in environ:
                problems.append(f"{name}: set twice; keep one of {PREFIX}{name.upper()} and {variable} (environment)")
            elif (text := _secret_text(name, Path(value).expanduser(), f"environment variable {variable}", problems)) is not None:
                found[name] = (text, f"file {value}, named by environment variable {variable}")
        else:
            problems.append(f"{variable}: no such setting{_nearest(variable, [*known, *files, *OTHER_NAMES])} (environment)")
    return found


def _from_file(environ: Mapping[str, str], data: Path, problems: list[str]) -> dict[str, tuple[Any, str]]:
    named = environ.get("WATERCOOLER_CONFIG", "")
    path = Path(named).expanduser() if named else data / FILE_NAME
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        if named:
            problems.append(f"WATERCOOLER_CONFIG: there is no file {named} (environment)")
        return {}
    except (OSError, ValueError) as error:
        problems.append(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")
        return {}
    if len(content) > FILE_BYTES_MAX:
        problems.append(f"{path}: larger than {_bytes(FILE_BYTES_MAX)}, so hardly a file of settings")
        return {}
    try:
        text = content.decode("utf-8")
        read = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        problems.append(f"{path}: not TOML: {error}")
        return {}

    found: dict[str, tuple[Any, str]] = {}
    for name, value in read.items():
        source = f"file {path}, line {_line(text, name)}"
        if name.endswith("_file") and name.removesuffix("_file") in _secrets():
            plain = name.removesuffix("_file")
            secret_path = path.parent / Path(str(value)).expanduser()
            if (content_of := _secret_text(plain, secret_path, source, problems)) is not None:
                found[plain] = (content_of, f"file {secret_path}, named by {source}")
        elif name in _secrets():
            problems.append(f"{name}: a secret does not belong in this file; give {name}_file, the path of a file of its own ({source})")
        elif name == "data" and not named:
            problems.append(f"data: this file is found by the data folder and so cannot name it; set {PREFIX}DATA ({source})")
        elif name in _kinds() and _kinds()[name].is_path and isinstance(value, str) and value.strip():
            found[name] = (str(path.parent / Path(value).expanduser()), source)
        elif name in _kinds():
            found[name] = (value, source)
        else:
            options = [*_kinds(), *(f"{each}_file" for each in _secrets())]
            problems.append(f"{name}: no such setting{_nearest(name, options)} ({source})")
    return found


def _secret_text(name: str, path: Path, source: str, problems: list[str]) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(SECRET_BYTES_MAX + 1).decode("utf-8")
    except UnicodeDecodeError:
        problems.append(f"{name}: {path} does not hold text ({source})")
    except (OSError, ValueError) as error:
        problems.append(f"{name}: {path} cannot be read: {getattr(error, 'strerror', None) or error} ({source})")
    return None


def _line(text: str, name: str) -> int:
    """The line a top-level name of a TOML text stands in, as a key or as the head of a table; 1 where it is written unusually."""
    pattern = re.compile(rf"""\s*\[{{0,2}}\s*["']?{re.escape(name)}["']?\s*[=.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def _nearest(name: str, options: list[str]) -> str:
    near = difflib.get_close_matches(name[:100], options, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else "; docs/settings.md lists them all"


def _shown(raw: Any) -> str:
    text = repr(raw) if isinstance(raw, str) else str(raw)
    return text if len(text) <= 80 else text[:77] + "..."


def _written(value: Any, kind: Kind) -> str:
    if value is None:
        return ""
    if isinstance(value, timedelta):
        return _time(value)
    return _bytes(value) if kind.words.startswith("bytes") else str(value)
