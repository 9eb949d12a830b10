"""Digests and how they are made: `sha512:94e1…`."""

from __future__ import annotations

import re
from dataclasses import dataclass

BROKEN = ("md5", "sha1")  # algorithms of digests: two files of one digest can be made
DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True, slots=True)
class Checksum:
    """A digest and how it was made; `algorithm` is a name of hashlib, `digest` lower-case hex."""

    algorithm: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Checksum:
        """Read `algorithm:hex` or bare hex, whose length determines the algorithm. Raises ValueError."""
        algorithm, _, digest = text.strip().rpartition(":")
        algorithm, digest = algorithm.strip().lower().replace("-", ""), digest.strip().lower()
        if not re.fullmatch(r"[0-9a-f]+", digest):
            raise ValueError(f"'{text}' is not a hexadecimal digest; write it like sha256:94e1e2c9…")
        if not algorithm:
            algorithm = next((name for name, length in DIGEST_LENGTHS.items() if length == len(digest)), "")
        if algorithm not in DIGEST_LENGTHS:
            known = ", ".join(DIGEST_LENGTHS)
            raise ValueError(f"'{text}' names no known algorithm; use one of {known}, like sha256:94e1e2c9…")
        if DIGEST_LENGTHS[algorithm] != len(digest):
            raise ValueError(f"a {algorithm} digest has {DIGEST_LENGTHS[algorithm]} digits, this one has {len(digest)}")
        return cls(algorithm, digest)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digest}"
