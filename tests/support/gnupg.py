"""A keyring of gpg with one secret key, for as long as a test runs."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Gpg:
    """`home` is GNUPGHOME."""

    home: Path

    def run(self, *options: str, data: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--no-tty", *options]
        return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout

    def make(self, name: str, passphrase: str = "", algorithm: str = "ed25519") -> str:
        """Make a key; its fingerprint."""
        how = ["--pinentry-mode", "loopback", "--passphrase", passphrase]
        self.run(*how, "--quick-generate-key", f"{name} <{name}@example.org>", algorithm, "sign", "never")
        lines = self.run("--with-colons", "--list-keys", f"{name}@example.org").decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))

    def export(self, directory: Path) -> Path:
        """All public keys, where a resolver finds them."""
        directory.mkdir()
        (directory / "mirror.gpg").write_bytes(self.run("--export"))
        return directory


@contextmanager
def gnupg() -> Iterator[Gpg]:
    """The name is short: that of the agent's socket below it may have about a hundred characters."""
    home = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))
    try:
        yield Gpg(home)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True, timeout=60)
        shutil.rmtree(home, ignore_errors=True)
