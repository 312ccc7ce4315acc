"""Generates the Python side of the protos, beside them: messages, gRPC stubs where a file has a service, and types for both.

`protos.py` writes what changed and removes what no proto stands for any more; `protos.py --check` only says what it would do, and ends
with 1 where that is anything. The generators are pinned in requirements/dev.txt, so the same protos give the same bytes on every machine.
"""

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
SERVICE = re.compile(r"^service\s+\w+", re.MULTILINE)


def generate(protos: Path, target: Path) -> None:
    """Compiles every proto under `protos` into `target`; raises RuntimeError with the compiler's status when one does not compile."""
    files = sorted(path.relative_to(protos).as_posix() for path in protos.rglob("*.proto"))
    services = [name for name in files if SERVICE.search((protos / name).read_text(encoding="utf-8"))]
    include = Path(grpc_tools.__file__).parent / "_proto"
    # The plugins of mypy-protobuf are programs beside the interpreter, which is not always on the path.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    common = ["protoc", f"--proto_path={protos}", f"--proto_path={include}"]
    runs = [[*common, f"--python_out={target}", f"--mypy_out=quiet:{target}", *files]]
    if services:
        runs.append([*common, f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}", *services])
    for arguments in runs:
        status = protoc.main(arguments)
        if status != 0:
            raise RuntimeError(f"protoc ended with status {status}")


def compare(protos: Path, fresh: Path) -> dict[Path, bytes | None]:
    """What must change under `protos` to equal `fresh`: relative path to new content, or to None where the file must go."""
    wanted = {path.relative_to(fresh): path.read_bytes() for path in fresh.rglob("*") if path.is_file()}
    present = {path.relative_to(protos): path.read_bytes() for path in protos.rglob("*") if path.name.endswith(GENERATED)}
    changes: dict[Path, bytes | None] = {path: data for path, data in wanted.items() if present.get(path) != data}
    changes.update(dict.fromkeys(present.keys() - wanted.keys()))
    return dict(sorted(changes.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description="Generate the Python code of the protos.")
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 where the generated code is not current")
    parser.add_argument("--protos", type=Path, default=ROOT / "protos", help="the folder of the protos (default: %(default)s)")
    arguments = parser.parse_args()
    protos = arguments.protos.resolve()
    with tempfile.TemporaryDirectory() as folder:
        try:
            generate(protos, Path(folder))
        except RuntimeError as error:
            print(f"protos: {error}", file=sys.stderr)
            return 1
        changes = compare(protos, Path(folder))
    for path, data in changes.items():
        print(f"{'stale' if data is None else 'differs' if (protos / path).exists() else 'missing'}: {path}")
        if arguments.check:
            continue
        if data is None:
            (protos / path).unlink()
        else:
            (protos / path).write_bytes(data)
    if arguments.check and changes:
        print("protos: the generated code is not current; run `make protos` and commit what it writes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
