"""What a service says of itself: its README against its manifest, and its calls against what it imports.

The README of a service carries one table of facts, a row a fact, its values in backticks:

    | Streams | `post`, `community` |

A fact that is empty says `none` without backticks. Where a row is wrong, the failure shows the row that would be right.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.runtime.service import Service

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.parent.name for path in ROOT.glob("services/*/service.py"))
TABLE = re.compile(r"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?\"?(\w+)", re.IGNORECASE)
STUBS = re.compile(r"^watercooler\.(\w+)\.v\d+\.\w+_service_pb2(?:_grpc)?$")


def manifest(name: str) -> Service:
    service = importlib.import_module(f"services.{name}.service").SERVICE
    assert isinstance(service, Service)
    return service


def rpcs(name: str) -> list[str]:
    """The methods of the service's own protos, in their order; none where it has no such proto."""
    modules = [
        importlib.import_module(f"watercooler.{name}.v1.{path.stem}_pb2")
        for path in sorted((ROOT / f"protos/watercooler/{name}/v1").glob("*_service.proto"))
    ]
    return [method.name for module in modules for service in module.DESCRIPTOR.services_by_name.values() for method in service.methods]


def facts(service: Service) -> dict[str, list[str]]:
    return {
        "Streams": sorted(service.streams),
        "Topic": [f"watercooler.{service.name}.v1.events"] if service.streams else [],
        "Tables": sorted(set(TABLE.findall("\n".join([service.schema, *service.migrations])))),
        "RPCs": rpcs(service.name),
        "Follows": sorted(service.follows),
        "Calls": sorted(service.calls),
    }


def row(fact: str, values: list[str]) -> str:
    return f"| {fact} | {', '.join(f'`{value}`' for value in values) or 'none'} |"


def wrong_rows(readme: str, expected: dict[str, list[str]]) -> list[str]:
    """The rows of facts that the README lacks or has otherwise, as they should be; the order of values is the writer's."""
    found = {}
    for line in readme.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.lstrip().startswith("|") and len(cells) >= 2 and cells[0] in expected:
            found[cells[0]] = sorted(re.findall(r"`([^`]+)`", cells[1]))
    return [row(fact, values) for fact, values in expected.items() if found.get(fact) != sorted(values)]


def stubs_imported(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each Python file under the folder with each service whose stubs or requests it imports."""
    for path in sorted(folder.rglob("*.py")):
        if "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            for module in modules:
                if match := STUBS.match(module):
                    yield path, match[1]


def undeclared_calls(folder: Path, service: str, calls: set[str]) -> set[str]:
    return {f"{path.name} imports the RPCs of {other}" for path, other in stubs_imported(folder) if other != service and other not in calls}


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_says_what_the_manifest_says(name: str) -> None:
    readme = ROOT / f"services/{name}/README.md"
    assert readme.exists(), "a service explains itself in its README.md"
    wrong = wrong_rows(readme.read_text(encoding="utf-8"), facts(manifest(name)))
    assert not wrong, "these rows would be right:\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_names_the_service_by_its_folder(name: str) -> None:
    service = manifest(name)
    assert service.name == name
    assert {*service.follows, *service.calls} <= set(NAMES) - {name}


@pytest.mark.parametrize("name", NAMES)
def test_only_declared_neighbours_are_called_and_all_of_them_are(name: str) -> None:
    service, folder = manifest(name), ROOT / "services" / name
    assert undeclared_calls(folder, name, set(service.calls)) == set()
    assert set(service.calls) <= {other for _, other in stubs_imported(folder)}, "the manifest names a call that no module makes"


@pytest.mark.parametrize("name", NAMES)
def test_every_table_of_a_projection_stands_in_the_schema(name: str) -> None:
    service = manifest(name)
    projections = [*service.projections, *(subscribed.projection for subscribed in service.subscribed)]
    assert {table for projection in projections for table in projection.tables} <= set(facts(service)["Tables"])


def test_a_wrong_readme_is_noticed() -> None:
    expected = {"Streams": ["community", "post"], "Follows": []}
    right = "# feed\n\n| | |\n| --- | --- |\n| Streams | `post`, `community` |\n| Follows | none |\n"
    assert wrong_rows(right, expected) == []
    assert wrong_rows(right.replace("`post`", "`page`"), expected) == ["| Streams | `community`, `post` |"]
    assert wrong_rows("# feed\n", expected) == ["| Streams | `community`, `post` |", "| Follows | none |"]


@pytest.mark.parametrize(
    "line",
    [
        "from watercooler.identity.v1 import identity_service_pb2",
        "from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub",
        "import watercooler.identity.v1.identity_service_pb2_grpc as stubs",
    ],
)
def test_an_undeclared_call_is_noticed(tmp_path: Path, line: str) -> None:
    (tmp_path / "api.py").write_text(line + "\n", encoding="utf-8")
    assert undeclared_calls(tmp_path, "feed", set()) == {"api.py imports the RPCs of identity"}
    assert undeclared_calls(tmp_path, "feed", {"identity"}) == set()
    assert undeclared_calls(tmp_path, "identity", set()) == set()
