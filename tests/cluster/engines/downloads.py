"""The programs of the engines, had by the package registries' ordinary clients and kept in one folder.

The folder is `.engines` in the checkout, or the one that TEST_ENGINES_CACHE names. Each part appears there whole or not at all;
two test runs that need the same part wait for each other. The clients' own caches (Maven's, Go's) make a second checkout quick.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .processes import EngineError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CACHE = Path(os.environ.get("TEST_ENGINES_CACHE") or ROOT / ".engines").resolve()
KAFKA_VERSION = "4.4.0"
KAFKA_TOOLS_VERSION = "4.3.0"  # the newest that the registry has; it speaks to newer brokers
LOG4J_VERSION = "2.25.5"
OPENSEARCH_VERSION = "3.8.0"
POSTGRES_VERSION = "18.6.0"
VERSITYGW_VERSION = "1.8.0"
DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
KAFKA_JAVA = 17
OPENSEARCH_JAVA = 21
POSTGRES_OLDEST = 14
DOWNLOAD_SECONDS = 900


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _made(name: str, make: Callable[[Path], None]) -> Path:
    """The part of that name, made in a folder beside and moved into its place when it is whole."""
    target = CACHE / name
    if target.exists():
        return target
    with _alone(name):
        if not target.exists():
            beside = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=CACHE))
            try:
                make(beside)
                beside.chmod(0o755)  # PostgreSQL runs as somebody else
                beside.rename(target)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    return target


def _run(command: list[str], what: str, *, folder: Path | None = None, environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise EngineError(f"{what} needs the command {command[0]}, which is not installed") from None
    except subprocess.TimeoutExpired:
        raise EngineError(f"{what}: {command[0]} did not finish within {DOWNLOAD_SECONDS} s") from None
    if done.returncode:
        raise EngineError(f"{what}: {' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def _maven(pom: str, into: Path) -> None:
    if shutil.which("mvn") is None:
        raise EngineError(f"{pom}.xml needs Maven: install it, by `apt-get install maven` on Debian and Ubuntu")
    command = [
        "mvn", "--batch-mode", "--quiet", "--file", str(HERE / "java" / f"{pom}.xml"), f"{DEPENDENCY_PLUGIN}:copy-dependencies",
        "-DincludeScope=runtime", f"-DoutputDirectory={into}",
    ]
    try:
        _run(command, f"the parts of {pom}")
    except EngineError:
        _run(command, f"the parts of {pom}")  # a registry may be away for a moment


def java(least: int) -> Path:
    """The oldest Java development kit on this machine that is at least so new. Raises EngineError where there is none."""
    homes = {Path(home).resolve() for home in (os.environ.get("JAVA_HOME"), os.environ.get("JDK_HOME")) if home}
    for folder in (Path("/usr/lib/jvm"), Path("/opt/java"), Path("/usr/java")):
        if folder.is_dir():
            homes |= {home.resolve() for home in folder.iterdir()}
    if found := shutil.which("java"):
        homes.add(Path(found).resolve().parents[1])
    known: list[tuple[int, Path]] = []
    for home in homes:
        release = home / "release"
        match = re.search(r'JAVA_VERSION="(?:1\.)?([0-9]+)', release.read_text("utf-8")) if release.is_file() else None
        if match and (home / "bin" / "java").exists() and int(match[1]) >= least:
            known.append((int(match[1]), home))
    if not known:
        raise EngineError(
            f"a Java of version {least} or newer is needed and was not found (JAVA_HOME, /usr/lib/jvm): install"
            f" openjdk-{least}-jdk-headless or, where the distribution has none, a Temurin JDK"
        )
    return min(known)[1]


def kafka() -> Path:
    """The folder with Kafka's jars."""
    return _made(f"kafka-{KAFKA_VERSION}", lambda into: _maven("kafka", into))


def kafka_tools() -> Path:
    """The folder with the jars of Kafka's command-line tools, which the benchmarks measure against."""
    return _made(f"kafka-tools-{KAFKA_TOOLS_VERSION}", lambda into: _maven("kafka-tools", into))


def opensearch() -> Path:
    """The folder with OpenSearch's jars, and our launcher's class in `classes`."""

    def make(into: Path) -> None:
        compiler = java(OPENSEARCH_JAVA) / "bin" / "javac"
        if not compiler.exists():
            raise EngineError(f"{compiler} is missing: OpenSearch's launcher needs a development kit (-jdk-), not only a runtime (-jre-)")
        _maven("opensearch", into)
        source = HERE / "java" / "SearchNode.java"
        _run(
            [str(compiler), "-nowarn", "-proc:none", "-d", str(into / "classes"), "-cp", f"{into}/*", str(source)],
            "the launcher of OpenSearch",
        )

    launcher = hashlib.sha256((HERE / "java" / "SearchNode.java").read_bytes()).hexdigest()[:8]
    return _made(f"opensearch-{OPENSEARCH_VERSION}-{launcher}", make)


def postgres() -> Path:
    """The folder with PostgreSQL's programs: Debian's newest, else those from Maven."""
    installed = [
        (int(folder.parent.name), folder) for folder in Path("/usr/lib/postgresql").glob("[0-9]*/bin")
        if folder.parent.name.isdigit() and (folder / "initdb").exists() and int(folder.parent.name) >= POSTGRES_OLDEST
    ]
    if installed:
        return max(installed)[1]

    def make(into: Path) -> None:
        with tempfile.TemporaryDirectory() as jars:
            _maven("postgres", Path(jars))
            for jar in Path(jars).glob("embedded-postgres-binaries-*.jar"):
                with zipfile.ZipFile(jar) as archive:
                    packed = next(name for name in archive.namelist() if name.endswith(".txz"))
                    archive.extract(packed, jars)
                with tarfile.open(Path(jars) / packed) as tree:
                    tree.extractall(into, filter="tar")

    return _made(f"postgres-{POSTGRES_VERSION}", make) / "bin"


def versitygw() -> Path:
    """The program of the S3 gateway."""

    def make(into: Path) -> None:
        if shutil.which("go") is None:
            raise EngineError("the S3 gateway is built by Go, 1.21 or newer, which is not installed (Debian: golang-go)")
        _run(
            ["go", "install", f"github.com/versity/versitygw/cmd/versitygw@v{VERSITYGW_VERSION}"], "the S3 gateway",
            environment={"GOBIN": str(into), "CGO_ENABLED": "0", "GOTOOLCHAIN": "auto"},
        )

    return _made(f"versitygw-{VERSITYGW_VERSION}", make) / "versitygw"


def prometheus() -> Path:
    """The folder with `prometheus` and `promtool`: the installed ones, else those of Debian's package, unpacked but not installed."""
    if (found := shutil.which("prometheus")) and shutil.which("promtool"):
        return Path(found).parent

    def make(into: Path) -> None:
        if shutil.which("apt-get") is None:
            raise EngineError("Prometheus is neither installed (`prometheus`, `promtool`) nor to be had from Debian's packages here")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            _run(["apt-get", "download", "-qq", "prometheus"], "Prometheus (`apt-get update` may be due)", folder=Path(folder))
            package = next(Path(folder).glob("prometheus_*.deb"))
            _run(["dpkg", "-x", str(package), str(into)], "Prometheus")

    return _made("prometheus", make) / "usr" / "bin"


def faketime() -> Path:
    """The library by which a process may be shown another time: the installed one, else that of Debian's package, unpacked."""
    for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1"):
        return path

    def make(into: Path) -> None:
        if shutil.which("apt-get") is None:
            raise EngineError("libfaketime is neither installed nor to be had from Debian's packages here")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            _run(["apt-get", "download", "-qq", "libfaketime"], "libfaketime (`apt-get update` may be due)", folder=Path(folder))
            package = next(Path(folder).glob("libfaketime_*.deb"))
            _run(["dpkg", "-x", str(package), str(into)], "libfaketime")

    return next(_made("faketime", make).glob("usr/lib/*/faketime/libfaketime.so.1"))


def kcat() -> Path:
    """The program kcat: the installed one, else Debian's with its libraries, unpacked but not installed."""
    if found := shutil.which("kcat"):
        return Path(found)

    def make(into: Path) -> None:
        if shutil.which("apt-get") is None:
            raise EngineError("kcat is neither installed nor to be had from Debian's packages here")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            packages = ["kcat", "librdkafka1", "libyajl2"]
            _run(["apt-get", "download", "-qq", *packages], "kcat (`apt-get update` may be due)", folder=Path(folder))
            for package in Path(folder).glob("*.deb"):
                _run(["dpkg", "-x", str(package), str(into)], "kcat")
        program = into / "kcat"
        program.write_text(
            '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n'
            'LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-*) exec "$here/usr/bin/kcat" "$@"\n', "utf-8",
        )
        program.chmod(0o755)

    return _made("kcat", make) / "kcat"


def maven_project(pom: str) -> Path:
    """The folder with the jars that a Maven project depends on, given the text of its pom.xml."""

    def make(into: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "pom.xml").write_text(pom, "utf-8")
            if shutil.which("mvn") is None:
                raise EngineError("Maven is needed: install it, by `apt-get install maven` on Debian and Ubuntu")
            command = ["mvn", "--batch-mode", "--quiet", "--file", f"{folder}/pom.xml", f"{DEPENDENCY_PLUGIN}:copy-dependencies"]
            _run([*command, "-DincludeScope=runtime", f"-DoutputDirectory={into}"], "the libraries of a Java program")

    return _made(f"maven-{hashlib.sha256(pom.encode()).hexdigest()[:12]}", make)
