"""The consumers that docs/events.md shows, as they stand there, against a real broker and events that the network published."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc_tools
import pytest

from libs.subscriptions import topics
from libs.subscriptions.kafka import KafkaConfig, Publisher
from tests.cluster.engines import downloads
from tests.cluster.engines.processes import EngineError, wait_for
from tests.feed.worlds import Feed, feed_of
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.identity.v1 import events_pb2 as identity

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/events.md").read_text(encoding="utf-8")
SECONDS = 120

# What Maven and Debian give is fetched once, which may take a while.
pytestmark = pytest.mark.timeout(480)


def block(language: str, having: str) -> str:
    """The one block of code in the guide, in this language, that holds these words."""
    [found] = [code for code in re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE) if having in code]
    return found


class Published:
    """A feed whose events go to a topic."""

    def __init__(self, feed: Feed, publisher: Publisher) -> None:
        self.feed = feed
        self.publisher = publisher
        self.position = 0

    async def catch_up(self) -> None:
        """Publish what has happened since."""
        store = self.feed.world.store("feed")
        while events := await store.tail(self.position, 500):
            await self.publisher.publish("feed", events)
            self.position = events[-1].position


@asynccontextmanager
async def published(folder: Path, brokers: str, prefix: str, partitions: int) -> AsyncIterator[Published]:
    """A running feed, its topic, and a publisher."""
    config = KafkaConfig(brokers=tuple(brokers.split(",")), prefix=prefix, partitions=partitions, replication=1)
    topics.ensure(config, ["feed"])
    publisher = Publisher(config)
    await publisher.start()
    try:
        async with feed_of(folder) as feed:
            yield Published(feed, publisher)
    finally:
        await publisher.stop()


@contextmanager
def running(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[Callable[[], str]]:
    """A consumer at work; answers a function that tells what it has printed."""
    output = folder / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        def said() -> str:
            text = output.read_text(encoding="utf-8", errors="replace")
            if process.poll() is not None:
                raise AssertionError(f"the consumer ended with {process.returncode}:\n{text[-3000:]}")
            return text

        yield said
    finally:
        process.kill()
        process.wait()


def settings(brokers: str, prefix: str) -> dict[str, str]:
    return {**os.environ, "KAFKA_BROKERS": brokers, "KAFKA_PREFIX": prefix}


def shell(code: str, folder: Path, environment: dict[str, str]) -> str:
    """What a block of shell prints."""
    done = subprocess.run(["sh", "-ec", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def protoc() -> list[str]:
    """What `protoc` is on this machine: the compiler that the generated code is made by."""
    return [sys.executable, "-m", "grpc_tools.protoc", f"-I{Path(grpc_tools.__file__).parent / '_proto'}"]


def protoc_beside(folder: Path) -> Path:
    """A folder with a program `protoc`, for what the guide runs by that name."""
    program = folder / "bin" / "protoc"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in protoc()) + ' "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program.parent


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The consumer kit as somebody else installs it: a folder that holds nothing of the network."""
    folder = tmp_path_factory.mktemp("kit")
    shutil.copytree(ROOT / "protos", folder / "protos", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--no-index", "--wheel-dir", str(folder), str(folder / "protos")], check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


async def test_in_python(kafka: str, kafka_prefix: str, kit: Path, tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(block("python", "KafkaConsumer"), encoding="utf-8")
    # No site: neither the network's own code nor its editable installation can be what is imported.
    packages = [path for path in sys.path if path.endswith("site-packages")]
    environment = {**settings(kafka, kafka_prefix), "PYTHONPATH": os.pathsep.join([str(kit), *packages])}
    command = [sys.executable, "-S", "consumer.py"]

    def posts() -> dict[str, str]:
        if not (tmp_path / "posts.db").exists():
            return {}
        with sqlite3.connect(tmp_path / "posts.db", timeout=10) as database:
            if not database.execute("SELECT name FROM sqlite_master WHERE name = 'posts'").fetchone():
                return {}
            return dict(database.execute("SELECT post_id, body FROM posts").fetchall())

    async with published(tmp_path, kafka, kafka_prefix, 3) as network:
        feed = network.feed
        ann, bob = await feed.person("ann"), await feed.person("bob")
        made = [await feed.post(ann, f"Post number {number} – früh") for number in range(20)]
        mine = await feed.post(bob, "Mine")
        await network.catch_up()
        wanted = {post.post_id: post.body for post in [*made, mine]}

        def holds(said: Callable[[], str]) -> Callable[[], bool]:
            return lambda: bool(said() is not None and posts() == wanted)

        with running(command, tmp_path, environment) as said:
            wait_for("the consumer has every post", holds(said), SECONDS)
            with feed.by(ann):
                await feed.stub.EditPost(api.EditPostRequest(post_id=made[0].post_id, body="Changed", etag=made[0].etag))
                await feed.stub.DeletePost(api.DeletePostRequest(post_id=made[1].post_id))
            wanted |= {made[0].post_id: "Changed", made[1].post_id: ""}
            await network.catch_up()
            wait_for("the consumer has the changes", holds(said), SECONDS)
        # Killed, it goes on; what comes twice, as from a relay that starts again, changes nothing.
        network.position = 0
        await network.catch_up()
        await feed.tell(f"person-{bob}", identity.PersonErased(person_id=bob))
        late = await feed.post(ann, "After all that")
        wanted |= {mine.post_id: "", late.post_id: "After all that"}
        await network.catch_up()
        with running(command, tmp_path, environment) as said:
            wait_for("the consumer has gone on and forgotten who was erased", holds(said), SECONDS)


async def test_in_java(kafka: str, kafka_prefix: str, tmp_path: Path) -> None:
    try:
        jars, java = downloads.maven_project(block("xml", "protobuf-java")), downloads.java(17) / "bin" / "java"
    except EngineError as error:
        pytest.fail(str(error))
    (tmp_path / "Posts.java").write_text(block("java", "public class Posts"), encoding="utf-8")
    (tmp_path / "libs").symlink_to(jars)
    (tmp_path / "protos").symlink_to(ROOT / "protos")
    environment = settings(kafka, kafka_prefix)
    environment["PATH"] = os.pathsep.join([str(protoc_beside(tmp_path)), str(java.parent), environment["PATH"]])
    shell(block("sh", "--descriptor_set_out"), tmp_path, environment)
    [command] = re.findall(r"`(java -cp [^`]+)`", GUIDE)
    async with published(tmp_path, kafka, kafka_prefix, 3) as network:
        ann = await network.feed.person("ann")
        posts = [await network.feed.post(ann, f"Nummer {number}, größer") for number in range(5)]
        await network.catch_up()
        wanted = [f'post-{post.post_id} 1 watercooler.feed.v1.PostPublished post_id: "{post.post_id}"' for post in posts]

        with running(["sh", "-c", f"exec {command}"], tmp_path, environment) as said:
            wait_for("the Java program prints every post", lambda: all(line in said() for line in wanted), SECONDS)
            text = said()
        assert 'body: "Nummer 3, größer"' in text


async def test_on_the_command_line(kafka: str, kafka_prefix: str, tmp_path: Path) -> None:
    try:
        kcat = downloads.kcat()
    except EngineError as error:
        pytest.fail(str(error))
    (tmp_path / "protos").symlink_to(ROOT / "protos")
    environment = settings(kafka, kafka_prefix)
    environment["PATH"] = os.pathsep.join([str(kcat.parent), str(protoc_beside(tmp_path)), environment["PATH"]])

    async with published(tmp_path, kafka, kafka_prefix, 1) as network:
        ann = await network.feed.person("ann")
        first, second = await network.feed.post(ann, "One"), await network.feed.post(ann, "Two")
        await network.catch_up()
        listed = shell(block("sh", "%h"), tmp_path, environment).splitlines()
        assert [line.split()[:3] for line in listed] == [
            ["0", "0", f"post-{first.post_id}"], ["0", "1", f"post-{second.post_id}"],
        ]
        assert "ce_type=watercooler.feed.v1.PostPublished" in listed[0]
        assert "ce_sequence=1" in listed[0]
        assert f'post_id: "{second.post_id}"' in shell(block("sh", "--decode"), tmp_path, environment)


def test_every_block_of_the_guide_is_run_somewhere() -> None:
    languages = re.findall(r"^```(\w+)\n", GUIDE, re.MULTILINE)
    assert sorted(languages) == ["java", "json", "python", "python", "sh", "sh", "sh", "xml"]
