"""The Merkle tree of RFC 9162 (section 2.1.1) over SHA-256, built leaf by leaf in memory for as many hashes as the tree is high."""
from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256


class MerkleRoot:
    """The root over the leaves that were added, in their order."""

    def __init__(self) -> None:
        """Without leaves."""
        # Roots of full subtrees, the largest first, with their numbers of leaves.
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        """Add a leaf."""
        size, node = 1, sha256(b"\x00" + leaf).digest()
        while self._peaks and self._peaks[-1][0] == size:
            _, left = self._peaks.pop()
            size, node = 2 * size, sha256(b"\x01" + left + node).digest()
        self._peaks.append((size, node))

    def extend(self, leaves: Iterable[str]) -> None:
        """Add texts as leaves, in UTF-8."""
        for leaf in leaves:
            self.add(leaf.encode())

    @property
    def root(self) -> str:
        """The root, hexadecimal; SHA-256 of nothing for no leaves."""
        if not self._peaks:
            return sha256(b"").hexdigest()
        node = self._peaks[-1][1]
        for _, left in reversed(self._peaks[:-1]):
            node = sha256(b"\x01" + left + node).digest()
        return node.hex()
