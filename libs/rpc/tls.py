"""Certificates of calls between services, from PEM files, taken anew when the files change."""
from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from libs.telemetry import logs, metrics

LOOK_SECONDS = 1.0

_log = logs.get_logger(__name__)


class TlsUnusable(Exception):
    """A certificate or key cannot be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class Material:
    """What stood in the files at one time; empty where no file is named."""

    certificate: bytes
    key: bytes
    authority: bytes


@dataclass(slots=True)
class Tls:
    """TLS between services: `certificate` (the chain) and `key` are ours, `authority` holds the certificates that sign everybody's.

    A server needs the first two; a client needs them only where the server asks for a certificate (`require_clients`, on the server's
    side). Without `authority` a client trusts the certificates built into gRPC. `server_name` is the name that the server's certificate
    must carry where it is not the one in the address. Files are read again within a second of a change; a new certificate that does
    not go with the key, or cannot be read, is left until it does.
    """

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    require_clients: bool = False
    server_name: str = ""
    _material: Material | None = field(default=None, init=False, repr=False)
    _stamp: object = field(default=None, init=False, repr=False)
    _looked: float = field(default=0.0, init=False, repr=False)
    _told: str = field(default="", init=False, repr=False)
    _lock: Any = field(default_factory=threading.Lock, init=False, repr=False)

    def material(self) -> Material:
        """The certificates now. Safe from any thread, since gRPC asks from its own.

        Raises:
            TlsUnusable: they could never be read so far.
        """
        with self._lock:
            now = time.monotonic()
            if self._material is not None and now - self._looked < LOOK_SECONDS:
                return self._material
            self._looked = now
            try:
                stamp = tuple(_stamp(path) for path in (self.certificate, self.key, self.authority))
                if self._material is None or stamp != self._stamp:
                    self._material = self._read()
                    self._stamp, self._told = stamp, ""
            except (TlsUnusable, OSError) as error:
                if self._material is None:
                    raise TlsUnusable(str(error)) from error
                if self._told != str(error):
                    self._told = str(error)
                    _log.error("new certificates not taken; the former are used on", reason=str(error))
            return self._material

    def server_credentials(self) -> Any:
        """Credentials of a server, which look for new files at each handshake.

        Raises:
            TlsUnusable: a file is missing or no use.
        """
        if self.certificate is None or self.key is None:
            raise TlsUnusable("a server needs a certificate and its key: set tls_certificate_file and tls_key_file, or neither")
        if self.require_clients and self.authority is None:
            raise TlsUnusable("callers' certificates cannot be checked without the one that signs them: set tls_ca_file")
        shown = self.material()

        def configuration(material: Material) -> Any:
            return grpc.ssl_server_certificate_configuration([(material.key, material.certificate)], material.authority or None)

        def fetch() -> Any:
            nonlocal shown
            found = self.material()
            if found is shown:
                return None
            shown = found
            return configuration(found)

        return grpc.dynamic_ssl_server_credentials(configuration(shown), fetch, require_client_authentication=self.require_clients)

    def channel_credentials(self) -> Any:
        """Credentials of a client as the files are now; a channel does not look again, so whoever keeps one compares `material`."""
        material = self.material()
        return grpc.ssl_channel_credentials(material.authority or None, material.key or None, material.certificate or None)

    def _read(self) -> Material:
        if (self.certificate is None) != (self.key is None):
            raise TlsUnusable("a certificate goes with its key: set both tls_certificate_file and tls_key_file, or neither")
        material = Material(*(path.read_bytes() if path is not None else b"" for path in (self.certificate, self.key, self.authority)))
        if self.certificate is not None and self.key is not None:
            own = _certificates(self.certificate, material.certificate)
            try:
                key = load_pem_private_key(material.key, None)
            except (ValueError, TypeError) as error:
                raise TlsUnusable(f"{self.key} is no private key in PEM without a password") from error
            if _public(key) != _public(own[0]):
                raise TlsUnusable(f"{self.key} is not the key of the certificate in {self.certificate}")
            _watch("own", own)
        if self.authority is not None:
            _watch("authority", _certificates(self.authority, material.authority))
        return material


def _stamp(path: Path | None) -> tuple[int, ...]:
    if path is None:
        return ()
    found = path.stat()  # through links: a mounted secret swaps what they lead to
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _certificates(path: Path, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise TlsUnusable(f"{path} holds no certificate in PEM") from error


def _public(holder: Any) -> bytes:
    spoken: bytes = holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return spoken


def _watch(which: str, certificates: list[x509.Certificate]) -> None:
    ends = min(each.not_valid_after_utc.timestamp() for each in certificates)
    metrics.CERTIFICATE_EXPIRY.labels(certificate=which).set_function(lambda: ends - time.time())
