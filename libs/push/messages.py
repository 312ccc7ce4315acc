"""Web push messages: encrypted for one device (RFC 8291, aes128gcm of RFC 8188) and signed by this deployment (VAPID, RFC 8292)."""
from __future__ import annotations

import base64
import json
import os
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# A push service takes at least 4,096 bytes (RFC 8030 7.2); the header, the delimiter and the tag are part of them.
CONTENT_BYTES: Final = 3_993
_RECORD_BYTES: Final = 4_096
_POINT = serialization.Encoding.X962
_UNCOMPRESSED = serialization.PublicFormat.UncompressedPoint
# An hour less than the day that RFC 8292 allows: clocks differ.
_SIGNED_FOR: Final = timedelta(hours=23)


class NoPublicKey(ValueError):
    """These bytes are no point of the curve P-256."""


def b64(data: bytes) -> str:
    """base64url without padding, as everything about web push is written."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes of base64url, padded or not; raises ValueError for what is none."""
    return base64.urlsafe_b64decode(text.strip().rstrip("=") + "=" * (-len(text.strip().rstrip("=")) % 4))


class SigningKey:
    """The key by which push services know this deployment (P-256)."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        """Of a private key."""
        self._private = private
        self.public = private.public_key().public_bytes(_POINT, _UNCOMPRESSED)

    @classmethod
    def new(cls) -> SigningKey:
        """A new one."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def read(cls, text: str) -> SigningKey:
        """The key that `text` wrote; raises ValueError for what is none."""
        return cls(ec.derive_private_key(int.from_bytes(unb64(text), "big"), ec.SECP256R1()))

    @property
    def text(self) -> str:
        """The private key in base64url: a secret."""
        return b64(self._private.private_numbers().private_value.to_bytes(32, "big"))

    def authorization(self, endpoint: str, contact: str, now: datetime) -> str:
        """The header by which the push service of an endpoint believes us; `contact` is a mailto: or https: address."""
        parts = urlsplit(endpoint)
        header = b64(json.dumps({"typ": "JWT", "alg": "ES256"}, separators=(",", ":")).encode())
        claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": int((now + _SIGNED_FOR).timestamp()), "sub": contact}
        signed = f"{header}.{b64(json.dumps(claims, separators=(',', ':')).encode())}"
        r, s = decode_dss_signature(self._private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"vapid t={signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}, k={b64(self.public)}"


def check_public_key(public_key: bytes) -> None:
    """Raises NoPublicKey for what nothing can be encrypted for."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
    except ValueError as error:
        raise NoPublicKey("the key is no point of the curve P-256") from error


def encrypt(content: bytes, public_key: bytes, secret: bytes, *, own: SigningKey | None = None, salt: bytes | None = None) -> bytes:
    """The body of a push for a device, by its public key and authentication secret.

    `own` (a key used once) and `salt` are drawn at random; tests name those of the RFC. Raises ValueError for content past 3,993 bytes,
    NoPublicKey for a key that is none.
    """
    if len(content) > CONTENT_BYTES:
        raise ValueError(f"a push holds at most {CONTENT_BYTES:,} bytes")
    check_public_key(public_key)
    once = own or SigningKey.new()
    salt = os.urandom(16) if salt is None else salt
    key, nonce = _keys(once, public_key, secret, salt, device=public_key, server=once.public)
    sealed = AESGCM(key).encrypt(nonce, content + b"\x02", None)
    return salt + _RECORD_BYTES.to_bytes(4, "big") + bytes([len(once.public)]) + once.public + sealed


def decrypt(body: bytes, device: SigningKey, secret: bytes) -> bytes:
    """What a device reads: the way back of `encrypt`. Raises ValueError for what was not meant for it."""
    salt, length = body[:16], body[20]
    server, sealed = body[21:21 + length], body[21 + length:]
    key, nonce = _keys(device, server, secret, salt, device=device.public, server=server)
    try:
        content = AESGCM(key).decrypt(nonce, sealed, None)
    except InvalidTag as error:
        raise ValueError("this push is for another device") from error
    return content.rstrip(b"\x00").removesuffix(b"\x02")


def _keys(own: SigningKey, other: bytes, secret: bytes, salt: bytes, *, device: bytes, server: bytes) -> tuple[bytes, bytes]:
    shared = own._private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), other))
    material = _derive(shared, secret, b"WebPush: info\x00" + device + server, 32)
    return _derive(material, salt, b"Content-Encoding: aes128gcm\x00", 16), _derive(material, salt, b"Content-Encoding: nonce\x00", 12)


def _derive(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(material)
