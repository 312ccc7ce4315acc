"""Ed25519 (RFC 8032): checking signatures, with public keys of 32 bytes as 64 hexadecimal digits."""
from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def check_key(public_key: str) -> None:
    """Raises ValueError for what is no public key."""
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))


def is_signed(data: bytes, signature: bytes, public_key: str) -> bool:
    """Whether the signature is the key's over the data."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
