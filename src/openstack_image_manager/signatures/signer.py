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

TIMEOUT = 120.0  # seconds; an agent may ask for the passphrase


class Signer:
    """Sign with the one secret key that gpg finds for `key` (a fingerprint, key id or e-mail address). Raises Error."""

    def __init__(self, key: str) -> None:
        self._key = key
        program = shutil.which("gpg")
        if program is None:
            raise Error("signing needs gpg; install it (Debian and Ubuntu: apt install gpg)")
        self._program = program
        result = self._run(["--with-colons", "--list-secret-keys", "--", key])
        lines = [line.split(":") for line in result.stdout.decode("utf-8", "replace").splitlines()]
        fingerprints = [after[9] for line, after in pairwise(lines) if (line[0], after[0]) == ("sec", "fpr")]
        if len(fingerprints) != 1:
            problem = (
                f"matches {len(fingerprints)} secret keys in gpg's keyring; give the fingerprint of one"
                if fingerprints
                else "is not a secret key in gpg's keyring"
            )
            raise Error(f"--sign-key {key} {problem} (GNUPGHOME, or ~/.gnupg)")
        self.fingerprint = fingerprints[0]

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
        """Return the clearsigned text (`clear`), or the detached binary signature. Raises Error."""
        mode = ["--armor", "--clear-sign"] if clear else ["--no-armor", "--detach-sign"]
        options = ["--local-user", self.fingerprint, "--digest-algo", "SHA512"]
        result = self._run([*options, "--output", "-", *mode], data)
        if result.returncode or not result.stdout:
            errors = result.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
            raise Error(f"gpg cannot sign with {self._key}: {errors[-1]}")
        return result.stdout

    def is_own_signature(self, data: bytes, signature: bytes) -> bool:
        """Return True if this key made a good signature over these bytes."""
        with tempfile.TemporaryDirectory(prefix="openstack-image-manager-") as folder:
            file = Path(folder) / "signature"
            file.write_bytes(signature)
            result = self._run(["--status-fd", "1", "--verify", str(file), "-"], data)
        words = [line.split() for line in result.stdout.decode("utf-8", "replace").splitlines()]
        return result.returncode == 0 and any(
            word[1:2] == ["VALIDSIG"] and word[-1] == self.fingerprint for word in words
        )
