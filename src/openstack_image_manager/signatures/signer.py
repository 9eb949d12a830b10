"""Sign with gpg: the key stays in its keyring, and its passphrase with its agent."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from openstack_image_manager.errors import Error

TIMEOUT = 120.0  # seconds: an agent may ask a person for the passphrase


class Signer:
    """Signs with the one secret key that `key` (a fingerprint, a key id, an address) names for gpg. Raises Error."""

    def __init__(self, key: str) -> None:
        self._key = key
        program = shutil.which("gpg")
        if program is None:
            raise Error("signing needs gpg; install it (Debian and Ubuntu: apt install gpg)")
        self._program = program
        ended = self._run(["--with-colons", "--list-secret-keys", "--", key])
        lines = [line.split(":") for line in ended.stdout.decode("utf-8", "replace").splitlines()]
        found = [after[9] for line, after in pairwise(lines) if (line[0], after[0]) == ("sec", "fpr")]
        if len(found) != 1:
            many = (
                f"matches {len(found)} secret keys in gpg's keyring; give the fingerprint of one"
                if found
                else "is not a secret key in gpg's keyring"
            )
            raise Error(f"--sign-key {key} {many} (GNUPGHOME, or ~/.gnupg)")
        self.fingerprint = found[0]

    def _run(self, options: Sequence[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [self._program, "--batch", "--no-auto-key-retrieve", *options]
        environment = {**os.environ, "LC_ALL": "C"}
        try:
            return subprocess.run(
                command, input=data, capture_output=True, timeout=TIMEOUT, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            raise Error(f"gpg does not finish: its agent may be waiting for the passphrase of {self._key}") from None

    def sign(self, data: bytes, clear: bool) -> bytes:
        """The text with its signature around it (`clear`), or the bare binary signature. Raises Error."""
        how = ["--armor", "--clear-sign"] if clear else ["--no-armor", "--detach-sign"]
        chosen = ["--local-user", self.fingerprint, "--digest-algo", "SHA512"]
        ended = self._run([*chosen, "--output", "-", *how], data)
        if ended.returncode or not ended.stdout:
            said = ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
            raise Error(f"gpg cannot sign with {self._key}: {said[-1]}")
        return ended.stdout

    def is_own_signature(self, data: bytes, signature: bytes) -> bool:
        """True if that is a good signature of ours over these bytes."""
        with tempfile.TemporaryDirectory(prefix="openstack-image-manager-") as folder:
            file = Path(folder) / "signature"
            file.write_bytes(signature)
            ended = self._run(["--status-fd", "1", "--verify", str(file), "-"], data)
        words = [line.split() for line in ended.stdout.decode("utf-8", "replace").splitlines()]
        return ended.returncode == 0 and any(
            word[1:2] == ["VALIDSIG"] and word[-1] == self.fingerprint for word in words
        )
