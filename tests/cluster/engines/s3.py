"""An S3-compatible store that keeps its objects in a folder."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from . import downloads
from .processes import EngineError, Process, free_ports

REGION = "us-east-1"


def request(method: str, endpoint: str, path: str, access_key: str, secret_key: str) -> int:
    """Send one signed request without content (AWS Signature Version 4); answers the status."""
    now = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    host = endpoint.removeprefix("http://")
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": now}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{empty}"
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    try:
        with urllib.request.urlopen(urllib.request.Request(endpoint + path, method=method, headers=headers), timeout=15) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


class Buckets:
    """A store that runs somewhere on this machine, and fresh buckets in it."""

    def __init__(self, port: int, access_key: str, secret_key: str) -> None:
        """It answers at the port, to the owner of the key."""
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.access_key = access_key
        self.secret_key = secret_key

    def fresh(self) -> dict[str, str]:
        """Make an empty bucket; answers the settings that lead to it."""
        name = f"t{uuid.uuid4().hex[:16]}"
        status = request("PUT", self.endpoint, f"/{name}", self.access_key, self.secret_key)
        if status != 200:
            raise EngineError(f"{self.endpoint} made no bucket: status {status}")
        return {
            "blob_url": f"s3://{name}/files", "blob_endpoint": self.endpoint, "blob_region": REGION, "blob_access_key": self.access_key,
            "blob_secret_key": self.secret_key,
        }


class S3(Buckets):
    """A store of our own."""

    def __init__(self, folder: Path) -> None:
        """Nothing runs before `start`."""
        super().__init__(free_ports(1)[0], f"key-{secrets.token_hex(4)}", secrets.token_hex(16))
        for name in ("objects", "versions", "attributes"):
            (folder / name).mkdir(parents=True)
        self.process = Process(
            "s3",
            [
                str(downloads.versitygw()), "--port", f"127.0.0.1:{self.port}", "--region", REGION, "posix",
                "--versioning-dir", str(folder / "versions"), "--sidecar", str(folder / "attributes"), str(folder / "objects"),
            ],
            folder, ports=[self.port], environment={"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key},
        )

    def launch(self) -> None:
        """Start the store; `wait` until it serves."""
        self.process.launch()

    def wait(self) -> None:
        """Wait until the store answers. Raises EngineError when something else does."""
        self.process.wait_until("the store answers", self._answers)

    def _answers(self) -> bool:
        try:
            status = request("GET", self.endpoint, "/", self.access_key, self.secret_key)
            stranger = request("GET", self.endpoint, "/", self.access_key, secrets.token_hex(16))
        except OSError:
            return False
        if status != 200 or stranger == 200:
            raise EngineError(f"{self.endpoint} is another store, which does not know the key that was made here ({status}, {stranger})")
        return True

    def start(self) -> S3:
        """Start the store and wait until it answers."""
        self.launch()
        self.wait()
        return self

    def kill(self) -> None:
        """End the store at once."""
        self.process.kill()

    def restart(self) -> None:
        """Start the store again that was killed, with what it had kept."""
        self.launch()
        self.wait()

    def stop(self) -> None:
        """End the store."""
        self.process.stop()
