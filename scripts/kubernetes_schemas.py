"""Lays the JSON schemas of Kubernetes out as kubeconform reads them: `python scripts/kubernetes_schemas.py FOLDER VERSION...`.

They come from the package kubernetes-validate, so nothing is fetched; a version that it does not carry ends with 1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import kubernetes_validate


def main(target: Path, versions: list[str]) -> int:
    """Write FOLDER/v<version>-strict/<kind>-<group>-<version>.json."""
    source = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    for version in versions:
        found = source / f"v{version}-local-strict"
        if not found.is_dir():
            print(
                f"kubernetes-validate carries no schemas of Kubernetes {version}: {sorted(p.name for p in source.iterdir())}",
                file=sys.stderr,
            )
            return 1
        folder = target / f"v{version}-strict"
        folder.mkdir(parents=True, exist_ok=True)
        for path in found.glob("*.json"):
            if path.name != "all.json":
                schema = json.loads(path.read_text("utf-8").replace('"/api/_definitions.json#', '"_definitions.json#'))
                schema.pop("$id", None)
                (folder / path.name).write_text(json.dumps(schema), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
