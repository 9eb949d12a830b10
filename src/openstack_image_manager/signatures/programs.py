"""Run the programs that check OpenPGP signatures: gpgv, and pysequoia in a process of its own."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures.openpgp import Certificate, Signature

TIMEOUT = 60.0  # seconds that a program may take nothing of the data, or not end
# gpgv 2.2 certainly supports RSA, DSA, ECDSA and EdDSA (RFC 4880). Later versions support more.
_GPGV_VERSIONS = (3, 4)
_GPGV_ALGORITHMS = (1, 3, 17, 19, 22)
_SEQUOIA = Path(__file__).with_name("sequoia_worker.py")
_INSTALL_GPGV = "install gpgv (Debian and Ubuntu: apt install gpgv, others: gnupg2)"
_INSTALL_PYSEQUOIA = "pip install pysequoia"


def command_for(signature: Signature) -> list[str]:
    """Return the command that checks this signature. Raises VerificationError if no program can."""
    gpgv, pysequoia = shutil.which("gpgv"), find_spec("pysequoia")
    old, known = signature.version == 3, signature.version in _GPGV_VERSIONS
    if gpgv and known and (signature.algorithm in _GPGV_ALGORITHMS or not pysequoia):
        return [gpgv, "--homedir", ".", "--status-fd", "1", "--keyring", "./certificate", "signature", "-"]
    if pysequoia and not old:
        return [sys.executable, "-P", str(_SEQUOIA), "signature", "certificate", "/dev/stdin"]
    if old:
        raise VerificationError(f"the signature has version 3, which only gpgv can check: {_INSTALL_GPGV}")
    if not known:
        raise VerificationError(
            f"only pysequoia can check signatures of version {signature.version}: {_INSTALL_PYSEQUOIA}"
        )
    raise VerificationError(f"no program can check OpenPGP signatures: {_INSTALL_GPGV}, or: {_INSTALL_PYSEQUOIA}")


def missing_program() -> str | None:
    """Return which signatures this machine cannot check and what to install; None: it can check all that are in use."""
    if shutil.which("gpgv"):
        return None
    if find_spec("pysequoia"):
        return f"without gpgv, signatures of version 3 (openSUSE) cannot be checked: {_INSTALL_GPGV}"
    return f"no program can check OpenPGP signatures: {_INSTALL_GPGV}, or: {_INSTALL_PYSEQUOIA}"


class Check:
    """A program that checks one signature and reads the signed bytes from a pipe; memory holds only one chunk.

    `update` and `finish` raise VerificationError when the program hangs. `close` ends it in any state.
    """

    def __init__(self, signature: Signature, certificate: Certificate, patience: float = TIMEOUT) -> None:
        self._patience = patience
        command = command_for(signature)
        self._directory = tempfile.TemporaryDirectory(prefix="openstack-image-manager-")
        folder = Path(self._directory.name)
        self._status = folder / "status"
        self._ended = False
        try:
            (folder / "signature").write_bytes(signature.packet)
            (folder / "certificate").write_bytes(certificate.data)
            # A file, because a signature may carry long notes, and an unread pipe could fill up.
            with self._status.open("wb") as status:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=status,
                    stderr=subprocess.DEVNULL,
                    cwd=folder,
                    env=os.environ | {"LC_ALL": "C"},
                    start_new_session=True,  # only this process gets Ctrl-C, and then ends the program
                )
        except OSError as error:
            self._directory.cleanup()
            raise VerificationError(f"cannot check the signature with {command[0]}: {error.strerror}") from None
        assert self._process.stdin is not None
        self._stdin: IO[bytes] = self._process.stdin
        os.set_blocking(self._stdin.fileno(), False)
        self._poll = select.poll()
        self._poll.register(self._stdin.fileno(), select.POLLOUT)

    def update(self, chunk: bytes) -> None:
        """Pass the next bytes on."""
        left = memoryview(chunk)
        while left and not self._ended:
            if not self._poll.poll(self._patience * 1000):
                raise self._hangs()
            try:
                left = left[os.write(self._stdin.fileno(), left) :]
            except BrokenPipeError:
                self._ended = True  # it has decided already; its status lines say what

    def finish(self) -> str:
        """Return the status lines after the last byte."""
        self._stdin.close()
        try:
            self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            raise self._hangs() from None
        # Not UTF-8: notations are reported as raw bytes.
        report = self._status.read_text(encoding="latin-1")
        self.close()
        return report

    def close(self) -> None:
        """End the program and remove its files; can be called again."""
        self._stdin.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()

    def _hangs(self) -> VerificationError:
        self.close()
        return VerificationError(f"the check of the signature hangs: no progress for {self._patience:.0f} seconds")
