"""`make test-kubernetes`: our image and chart on a real Kubernetes, from installation to uninstalling, with the real engines beside it.

python -m tests.kubernetes.run            needs root; tests/kubernetes/README.md says what it does to the machine (nothing that stays)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.browser.network import PASSWORD, Administrator
from tests.kubernetes import image
from tests.kubernetes.node import ROOT, TOOLS, Node, Problem, node, wait

CHART = ROOT / "deploy/helm/watercooler"
HELM = ROOT / ".tools/bin/helm"
SPACE, RELEASE = "social", "watercooler"
VARIABLES = {
    "PATH": "/opt/watercooler/bin",
    "LD_LIBRARY_PATH": "/opt/watercooler/lib",
    "PYTHONHOME": "/opt/watercooler",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "WATERCOOLER_DATA": "/var/lib/watercooler",
}


def images(folder: Path) -> list[Path]:
    """Our image and the one that holds pods; kept by the commit they are made of, where nothing is changed since."""
    made = [folder / "pause.tar", folder / "watercooler.tar"]
    state = subprocess.run(
        ["git", "rev-parse", "HEAD:libs", "HEAD:services", "HEAD:protos", "HEAD:requirements"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    mark = folder / "made-of"
    if all(path.exists() for path in made) and mark.exists() and mark.read_text("ascii") == state.stdout:
        return made
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source, root, pause = folder / "source", folder / "root", folder / "pause"
    source.mkdir()
    archive = subprocess.run(
        ["git", "archive", "HEAD", "pyproject.toml", "LICENSE", "NOTICE", "README.md", "requirements", "libs", "protos", "services"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive.stdout, check=True)
    shutil.copytree(ROOT / "services/gateway/assets/dist", source / "services/gateway/assets/dist", dirs_exist_ok=True)
    image.watercooler_root(root, source)
    image.pack(made[1], "docker.io/library/watercooler:0.1.0", root, ["/opt/watercooler/bin/watercooler"], VARIABLES)
    pause.mkdir()
    shutil.copy2(TOOLS / "pause", pause / "pause")
    image.pack(made[0], "docker.io/local/pause:1", pause, ["/pause"], {}, "65535:65535")
    for each in (source, root, pause):
        shutil.rmtree(each)
    mark.write_text(state.stdout, "ascii")
    return made


class Installation:
    """The chart in a namespace that enforces the Pod Security Standard `restricted`."""

    def __init__(self, host: Node, engines: dict[str, Any]) -> None:
        """Make the namespace and the secrets an administrator would."""
        self.host = host
        enforce = "pod-security.kubernetes.io/enforce"
        self._apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": SPACE, "labels": {enforce: "restricted", f"{enforce}-version": "latest"}},
            }
        )
        self._secret("postgres", {"url": engines["database"]})
        self._secret("s3", {"access-key": engines["blob"]["blob_access_key"], "secret-key": engines["blob"]["blob_secret_key"]})
        small = {
            "requests": {"cpu": "10m", "memory": "64Mi", "ephemeral-storage": "16Mi"},
            "limits": {"memory": "512Mi", "ephemeral-storage": "1Gi"},
        }
        self.values: dict[str, Any] = {
            "database": {"existingSecret": "postgres", "connections": 4},
            "kafka": {"brokers": engines["kafka"], "replication": 1, "partitions": 3},
            "search": {"url": engines["search"], "replicas": 0},
            "blob": {"url": engines["blob"]["blob_url"], "endpoint": engines["blob"]["blob_endpoint"], "existingSecret": "s3"},
            "api": {"resources": small},
            "worker": {"resources": small},
            "migrations": {"resources": small, "backoffLimit": 0},
            "networkPolicy": {"database": {"ports": [int(engines["database"].rpartition(":")[2].partition("/")[0])]}},
            "image": {"pullPolicy": "Never"},
            "pod": {"annotations": {"round": "0"}},
        }

    def _apply(self, item: dict[str, Any]) -> None:
        self.host.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(item))

    def _secret(self, name: str, entries: dict[str, str]) -> None:
        self._apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": SPACE}, "stringData": entries})

    def helm(self, *arguments: str, chart: Path | None = None, check: bool = True, **changes: Any) -> str:
        """helm with the values, some of them changed."""
        command: list[str | Path] = [HELM, *arguments]
        stdin = None
        if chart is not None:
            command += [chart, "--values", "-"]
            stdin = json.dumps(self.values | changes)
        return self.host.run(*command, "--namespace", SPACE, seconds=1200, stdin=stdin, check=check)

    def address(self) -> str:
        """Where the gateway's Service is inside the cluster."""
        service = self.host.get("service", f"{RELEASE}-gateway", "-n", SPACE)
        return f"http://{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"

    def told(self) -> str:
        """What went wrong lately, for whoever reads a failed run."""
        pods = self.host.kubectl("get", "pods", "-n", SPACE, "-o", "wide", check=False)
        events = self.host.kubectl("get", "events", "-n", SPACE, "--sort-by=.lastTimestamp", check=False)
        logs = self.host.kubectl(
            "logs", "-n", SPACE, "-l", "app.kubernetes.io/instance=" + RELEASE, "--all-containers", "--tail=15", "--prefix", check=False
        )
        return f"{pods}\n{events[-4000:]}\n{logs[-6000:]}"


# What runs inside the namespace, where the gateway's Service can be reached: `python -m tests.kubernetes.run inside WHAT ADDRESS ...`.


class _Gateway:
    """A network, by its address, for the helpers of the browser tests."""

    def __init__(self, address: str) -> None:
        self.address = address

    def api(self, method: str, path: str, token: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.address}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json", "authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


def inside_journey(address: str) -> int:
    """The first journey: set the network up, sign in, add a colleague, post, read it back, find it."""
    gateway: Any = _Gateway(address)
    administrator = Administrator(gateway)
    administrator.add("Jo Reader")
    post = administrator.post("The first post through the gateway's Service: marmalade.")
    assert gateway.api("GET", f"/posts/{post}", administrator.token)["id"] == post
    # The name of its author reaches the timeline from another service, through Kafka.
    wait("the timeline is whole", lambda: "Ada Winter" in json.dumps(gateway.api("GET", "/feeds/home", administrator.token)), 120)
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    signing_in = urllib.request.Request(
        f"{address}/api/v1/sessions",
        method="POST",
        data=json.dumps({"email": administrator.email, "password": PASSWORD}).encode(),
        headers={"content-type": "application/json"},
    )
    opener.open(signing_in, timeout=30).close()
    wait("the post is found", lambda: post in opener.open(f"{address}/search?q=marmalade", timeout=30).read().decode(), 120)
    print(administrator.token)
    return 0


def inside_load(address: str, token: str, stop: str) -> int:
    """Read and write without a pause, each request on a connection of its own, until the file is there; says what failed."""
    gateway = _Gateway(address)
    failed: list[str] = []
    done = {"reads": 0, "writes": 0}

    def work(writes: bool) -> None:
        number = 0
        beat = threading.Event()
        while not Path(stop).exists():
            number += 1
            try:
                if writes:
                    gateway.api("POST", "/posts", token, {"body": f"Under load, {number}"})
                else:
                    gateway.api("GET", "/feeds/home", token)
                done["writes" if writes else "reads"] += 1
            except (OSError, urllib.error.URLError) as error:
                said = error.read()[:300] if isinstance(error, urllib.error.HTTPError) else b""
                failed.append(f"{'write' if writes else 'read'} {number}: {error} {said!r}")
            beat.wait(0.6 if writes else 0.1)

    threads = [threading.Thread(target=work, args=(each == 0,)) for each in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    print(json.dumps({**done, "failed": failed}))
    return 0


class Load:
    """Requests through the gateway's Service while something else happens."""

    def __init__(self, host: Node, address: str, token: str) -> None:
        self._stop = host.folder / "load.stop"
        self._stop.unlink(missing_ok=True)
        command = host.inside(sys.executable, "-m", "tests.kubernetes.run", "inside", "load", address, token, str(self._stop))
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/protos"}
        )

    def end(self) -> dict[str, Any]:
        """What came of it. Raises Problem where a request failed."""
        self._stop.touch()
        said, _ = self._process.communicate(timeout=120)
        found: dict[str, Any] = json.loads(said)
        if found["failed"] or not found["reads"] or not found["writes"]:
            raise Problem(
                f"{len(found['failed'])} requests failed of {found['reads']} reads and {found['writes']} writes: {found['failed'][:5]}"
            )
        return found


def rounds(host: Node, engines: dict[str, Any], folder: Path) -> None:
    """Everything, in the order in which an administrator meets it."""
    installed = Installation(host, engines)
    started = time.monotonic()

    def step(name: str, facts: str = "") -> None:
        nonlocal started
        print(f"{name:34} {time.monotonic() - started:6.1f} s  {facts}", flush=True)
        started = time.monotonic()

    try:
        before = _previous(folder)
        installed.helm("install", RELEASE, "--wait", "--timeout", "15m", chart=before)
        step("install into a restricted namespace")
        installed.helm("test", RELEASE, "--timeout", "5m")
        step("helm test")
        environment = ["env", f"PYTHONPATH={ROOT}:{ROOT}/protos", sys.executable, "-m", "tests.kubernetes.run", "inside"]
        token = host.run(*environment, "journey", installed.address(), seconds=300).strip().splitlines()[-1]
        step("first journey")
        load = Load(host, installed.address(), token)
        installed.helm("upgrade", RELEASE, "--wait", "--timeout", "15m", chart=CHART, pod={"annotations": {"round": "1"}})
        counted = load.end()
        step("upgrade under load", f"{counted['reads']} reads, {counted['writes']} writes, none failed")
        load = Load(host, installed.address(), token)
        installed.helm("rollback", RELEASE, "1", "--wait", "--timeout", "15m")
        counted = load.end()
        step("rollback under load", f"{counted['reads']} reads, {counted['writes']} writes, none failed")
        _failing_migration(host, installed, token)
        step("a failing migration")
        installed.helm("upgrade", RELEASE, "--wait", "--timeout", "15m", chart=CHART)
        step("the upgrade after it")
        installed.helm("uninstall", RELEASE, "--wait", "--timeout", "5m")
        _nothing_left(host)
        step("uninstall")
    except BaseException:
        print(installed.told(), file=sys.stderr)
        raise


def _previous(folder: Path) -> Path:
    """The chart of the last release; before there is one, this one under a lower version."""
    before = folder / "previous"
    shutil.rmtree(before, ignore_errors=True)
    tag = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    held = tag and subprocess.run(["git", "archive", tag, "deploy/helm/watercooler"], cwd=ROOT, capture_output=True, check=False)
    if held and held.returncode == 0:
        before.mkdir()
        subprocess.run(["tar", "-x", "-C", str(before)], input=held.stdout, check=True)
        return before / "deploy/helm/watercooler"
    shutil.copytree(CHART, before)
    about = yaml.safe_load((before / "Chart.yaml").read_text("utf-8"))
    (before / "Chart.yaml").write_text(yaml.safe_dump(about | {"version": "0.0.9"}), "utf-8")
    return before


def _serving(host: Node) -> set[str]:
    """The pods of the release's services, without those that are on their way out."""
    items = host.get("pods", "-n", SPACE, "-l", "watercooler/role")["items"]
    return {each["metadata"]["name"] for each in items if "deletionTimestamp" not in each["metadata"]}


def _failing_migration(host: Node, installed: Installation, token: str) -> None:
    """It stops the upgrade, leaves its log, and the old version serves on."""
    pods = _serving(host)
    installed._secret("elsewhere", {"url": installed_address(host, "postgres") + "_nowhere"})
    load = Load(host, installed.address(), token)
    said = ""
    try:
        installed.helm(
            *("upgrade", RELEASE, "--wait", "--timeout", "3m"),
            chart=CHART,
            database={"existingSecret": "elsewhere"},
            pod={"annotations": {"round": "2"}},
        )
    except Problem as refused:
        said = str(refused)
    if "pre-upgrade" not in said:
        raise Problem(f"an upgrade whose migration fails must stop there: {said or 'it went through'}")
    load.end()
    assert pods and pods <= _serving(host), "pods of the old version were replaced"
    assert host.kubectl("logs", "-n", SPACE, f"job/{RELEASE}-migrations", "--container", "migrate").strip(), "the failed Job left no log"


def installed_address(host: Node, name: str) -> str:
    """What stands in a Secret."""
    import base64

    return base64.b64decode(host.get("secret", name, "-n", SPACE)["data"]["url"]).decode()


def _nothing_left(host: Node) -> None:
    """Only what was there before, and the secrets the chart keeps."""

    def left() -> list[str]:
        kinds = (
            "deployments,statefulsets,jobs,pods,services,configmaps,secrets,serviceaccounts,networkpolicies,"
            "poddisruptionbudgets,persistentvolumeclaims"
        )
        found = [f"{each['kind']}/{each['metadata']['name']}" for each in host.get(kinds, "-n", SPACE)["items"]]
        ours = {"Secret/postgres", "Secret/s3", "Secret/elsewhere", "ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}
        kept = {f"Secret/{RELEASE}-secret-key", f"Secret/{RELEASE}-signing-keys"}
        assert kept <= set(found), "the secrets of the chart are gone"
        return sorted(set(found) - ours - kept)

    wait("nothing is left", lambda: not left() or None, 120)


def main() -> int:
    """Build, start, go through everything, and leave nothing."""
    if os.geteuid() != 0:
        print("a node needs root: containers, namespaces and routes", file=sys.stderr)
        return 1
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="watercooler-kubernetes-"))
    made = images(TOOLS / "images")
    print(f"{'image':34} {time.monotonic() - began:6.1f} s", flush=True)
    try:
        with node(folder, made) as host:
            print(f"{'node ready':34} {time.monotonic() - began:6.1f} s", flush=True)
            with subprocess.Popen(
                host.inside("env", f"PYTHONPATH={ROOT}:{ROOT}/protos", sys.executable, "-m", "tests.kubernetes.engines"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            ) as engines:
                try:
                    assert engines.stdout is not None
                    line = engines.stdout.readline()
                    if not line:
                        raise Problem("the engines did not start")
                    print(f"{'engines':34} {time.monotonic() - began:6.1f} s", flush=True)
                    rounds(host, json.loads(line), folder)
                finally:
                    assert engines.stdin is not None
                    engines.stdin.close()
                    engines.wait(120)
    finally:
        if "--keep" not in sys.argv:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{'together':34} {time.monotonic() - began:6.1f} s")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        sys.exit({"journey": inside_journey, "load": inside_load}[sys.argv[2]](*sys.argv[3:]))
    sys.exit(main())
