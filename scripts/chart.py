"""Makes what the Helm chart has from elsewhere: its list of services, its README's table and the schema of its values.

`python scripts/chart.py` writes them; with --check it changes nothing and ends with 1 where one is not current.
The list of services comes from their manifests, the table and the schema from the comments in values.yaml.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
CHART: Final = ROOT / "deploy/helm/watercooler"
sys.path[:0] = [str(ROOT), str(ROOT / "protos")]

# Settings that have a value of their own in values.yaml, or that the chart must know to mount and connect what it makes.
SET_BY_CHART: Final = {
    "data",
    "host",
    "port",
    "public_url",
    "secret_key",
    "log_format",
    "database_url",
    "database_connections",
    "database_timeout",
    "kafka_brokers",
    "kafka_security",
    "kafka_mechanism",
    "kafka_username",
    "kafka_password",
    "kafka_ca_file",
    "kafka_prefix",
    "kafka_partitions",
    "kafka_replication",
    "kafka_retention",
    "search_url",
    "search_username",
    "search_password",
    "search_ca_file",
    "search_prefix",
    "search_shards",
    "search_replicas",
    "blob_url",
    "blob_endpoint",
    "blob_region",
    "blob_access_key",
    "blob_secret_key",
    "grpc_host",
    "grpc_port",
    "service_addresses",
    "keys",
    "tls_certificate_file",
    "tls_key_file",
    "tls_ca_file",
    "tls_clients",
    "status_port",
    "stop_pause",
    "smtp_url",
    "mail_sender",
}
# What the settings a manifest needs, and attributes of that name in a service's code, mean for the chart.
NEEDS: Final = {"blob_url": "blob", "blobs": "blob", "search_url": "search", "index": "search", "smtp_url": "smtp", "mail_sender": "smtp"}


@dataclass
class Value:
    """One key of values.yaml: where it is, its default, what the comment above says, what the schema adds."""

    path: tuple[str, ...]
    default: Any
    text: str
    schema: Any = None
    section: str = ""
    children: list[Value] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As one writes it after --set."""
        return ".".join(self.path)


def read_values() -> list[Value]:
    """The keys of values.yaml as a tree. Raises ValueError for one without a comment."""
    text = (CHART / "values.yaml").read_text("utf-8")
    loaded = yaml.safe_load(text)
    top: list[Value] = []
    open_maps: list[tuple[int, Value]] = []
    words: list[str] = []
    schema: Any = None
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("## "):
            section, words = stripped[3:], []
        elif stripped.startswith("# @schema "):
            rest = stripped.removeprefix("# @schema ")
            schema = json.loads(rest) if rest.startswith("{") else rest
        elif stripped.startswith("#"):
            words.append(stripped[1:].strip())
        elif not stripped:
            words = []
        elif match := re.match(r"( *)([A-Za-z]\w*):", line):
            indent = len(match[1])
            while open_maps and open_maps[-1][0] >= indent:
                open_maps.pop()
            parent = open_maps[-1][1] if open_maps else None
            path = (*(parent.path if parent else ()), match[2])
            default = _at(loaded, path)
            value = Value(path, default, " ".join(words), schema, section)
            if not value.text and not isinstance(default, dict):
                raise ValueError(f"values.yaml, line {number}: {value.name} has no comment")
            (parent.children if parent else top).append(value)
            if line.rstrip().endswith(":") and isinstance(default, dict) and _has_comments(text, number, indent):
                open_maps.append((indent, value))
            else:  # its inner lines are its default, not keys with a meaning of their own
                open_maps.append((indent, Value(path, default, "")))
            words, schema = [], None
    return top


def _has_comments(text: str, number: int, indent: int) -> bool:
    """Whether the map that begins in this line explains its keys."""
    for line in text.splitlines()[number:]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            return False
        if line.strip().startswith("#"):
            return True
    return False


def _at(loaded: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        loaded = loaded[name]
    return loaded


def walk(values: list[Value]) -> Iterator[Value]:
    """Every value, outer before inner."""
    for value in values:
        yield value
        yield from walk(value.children)


# --- the list of services --------------------------------------------------------------------------------------------


def services() -> str:
    """What the chart knows of each service."""
    from services.main import SERVICES

    listed = {
        each.name: {
            "follows": sorted(each.follows),
            "calls": sorted(each.calls),
            "publishes": bool(each.streams),
            "needs": sorted(needs(each.name) | {NEEDS[name] for name in each.needs if name in NEEDS}),
            "secretKey": "secret_key" in each.needs,
            "http": each.name == "gateway",
            "outside": asks_outside(each.name),
        }
        for each in SERVICES
    }
    head = (
        "# Made by scripts/chart.py from the services' manifests. publishes: it has events of its own; "
        "needs: engines beside PostgreSQL and Kafka; outside: it asks servers of the internet.\n"
    )
    return head + yaml.safe_dump(listed, sort_keys=False, default_flow_style=None, width=200)


def needs(service: str) -> set[str]:
    """The engines a service's code asks its context or the settings for."""
    found = set()
    for path in (ROOT / "services" / service).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in NEEDS:
                owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
                if owner in ("context", "_context", "settings"):
                    found.add(NEEDS[node.attr])
    return found


def asks_outside(service: str) -> bool:
    """Whether a service's code asks other people's servers: the adapters for that are these."""
    for path in (ROOT / "services" / service).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("libs.fetch", "libs.push")):
                return True
    return False


# --- the schema ------------------------------------------------------------------------------------------------------


def schema(values: list[Value]) -> str:
    """values.schema.json: types by the defaults, null everywhere, no unknown keys but other charts' maps at the top."""
    known = {value.path[0] for value in values} | {"global"}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the chart watercooler",
        "$comment": "Made by scripts/chart.py from the comments in values.yaml.",
        "type": "object",
        "properties": {value.path[0]: _schema_of(value) for value in values} | {"global": {"type": ["object", "null"]}},
        # Another chart's values may stand beside ours where several charts share one file; a slip in one of our names may not.
        "additionalProperties": {"type": ["object", "null"]},
        "propertyNames": {"anyOf": [{"enum": sorted(known)}, {"not": {"pattern": _slips(known)}}]},
        "$defs": _pod_parts(values),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _schema_of(value: Value) -> dict[str, Any]:
    if value.schema == "settings":
        from libs.runtime.settings import Settings

        free = sorted({each.name for each in fields(Settings)} - SET_BY_CHART)
        return {
            "type": ["object", "null"],
            "description": value.text,
            "additionalProperties": False,
            "properties": {name: {"type": ["string", "integer", "boolean", "null"]} for name in free},
        }
    if value.schema == "services":
        return _services_schema(value)
    if value.path in (("api",), ("worker",)):
        return {"$ref": f"#/$defs/{value.path[0]}"}
    if value.path == ("pod",):
        return {"$ref": "#/$defs/pod"}
    return _plain(value)


def _plain(value: Value) -> dict[str, Any]:
    made: dict[str, Any] = {"description": value.text} if value.text else {}
    if value.children:
        made |= {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {each.path[-1]: _plain(each) for each in value.children},
        }
    elif isinstance(value.default, bool):
        made |= {"type": ["boolean", "null"]}
    elif isinstance(value.default, int):
        made |= {"type": ["integer", "null"]}
    elif isinstance(value.default, str):
        made |= {"type": ["string", "null"]}
    elif isinstance(value.default, list):
        made |= {"type": ["array", "null"]}
    elif isinstance(value.default, dict):
        made |= {"type": ["object", "null"]}
    if isinstance(value.schema, dict):
        made |= value.schema
    return made


def _pod_parts(values: list[Value]) -> dict[str, Any]:
    by_name = {value.path[0]: value for value in values}
    shared = {each.path[-1]: _plain(each) for each in by_name["pod"].children}
    parts: dict[str, Any] = {"pod": {"type": ["object", "null"], "additionalProperties": False, "properties": shared}}
    for role in ("api", "worker"):
        own = {each.path[-1]: _plain(each) for each in by_name[role].children}
        parts[role] = {"type": ["object", "null"], "additionalProperties": False, "properties": shared | own}
    return parts


def _services_schema(value: Value) -> dict[str, Any]:
    from services.main import SERVICES

    named = {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {"existingSecret": {"type": ["string", "null"]}, "key": {"type": ["string", "null"]}},
    }
    tls = {"type": ["object", "null"], "additionalProperties": False, "properties": {"existingSecret": {"type": ["string", "null"]}}}
    one = {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {"api": {"$ref": "#/$defs/api"}, "worker": {"$ref": "#/$defs/worker"}, "database": named, "tls": tls},
    }
    return {
        "type": ["object", "null"],
        "description": value.text,
        "additionalProperties": False,
        "properties": {each.name: one for each in SERVICES},
    }


def _slips(names: set[str]) -> str:
    """A pattern of everything one slip of the fingers away from a name: a letter left out, added, changed, or two swapped."""
    forms: set[str] = set()
    for name in names:
        for at in range(len(name)):
            forms.add(f"{name[:at]}.?{name[at + 1 :]}")
            forms.add(f"{name[:at]}.{name[at:]}")
            if at + 1 < len(name):
                forms.add(name[:at] + name[at + 1] + name[at] + name[at + 2 :])
        forms.add(f"{name}.")
    return f"^(?:{'|'.join(sorted(forms))})$"


# --- the README ------------------------------------------------------------------------------------------------------

BEGIN, END = "<!-- values: made by scripts/chart.py from values.yaml -->", "<!-- /values -->"


def readme(values: list[Value]) -> str:
    """README.md with the tables of values in it made anew."""
    text = (CHART / "README.md").read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError("README.md lacks the marks between which the values stand")
    lines: list[str] = []
    section = ""
    for value in walk(values):
        if value.section != section:
            section = value.section
            lines += ["", f"### {section}", "", "| value | default | meaning |", "| --- | --- | --- |"]
        if not value.text:
            continue
        default = "" if value.children else f"`{json.dumps(value.default, ensure_ascii=False)}`"
        lines.append(f"| `{value.name}` | {default} | {_cell(value.text)}{_cell(_limits(value))} |")
    return before + BEGIN + "\n".join(lines) + "\n\n" + END + after


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _limits(value: Value) -> str:
    if not isinstance(value.schema, dict):
        return ""
    words = []
    if "enum" in value.schema:
        words.append("One of " + ", ".join(f"`{each}`" for each in value.schema["enum"] if each is not None) + ".")
    if "minimum" in value.schema and "maximum" in value.schema:
        words.append(f"From {value.schema['minimum']} to {value.schema['maximum']}.")
    elif "minimum" in value.schema:
        words.append(f"At least {value.schema['minimum']}.")
    return "".join(" " + each for each in words)


def main() -> int:
    """Write or check."""
    check = "--check" in sys.argv[1:]
    values = read_values()
    stale = []
    for path, content in (
        (CHART / "files/services.yaml", services()),
        (CHART / "values.schema.json", schema(values)),
        (CHART / "README.md", readme(values)),
    ):
        if path.exists() and path.read_text("utf-8") == content:
            continue
        if check:
            stale.append(str(path.relative_to(ROOT)))
        else:
            path.write_text(content, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    for name in stale:
        print(f"{name} is not current: run `python scripts/chart.py`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
