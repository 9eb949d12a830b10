"""A small distribution on loopback with a signed checksum file, and definitions that follow it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.bench import Outcome, run_main
from tests.support.signers import Made
from tests.support.site import Switches, TestSite

HEAD = "# our images\nimages:\n"


def image(name: str) -> bytes:
    return (b"QFI\xfb\x00\x00\x00\x03" + name.encode() * 500)[:2000]


def sums(**files: bytes) -> bytes:
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}.qcow2\n" for name, data in files.items()).encode()


# The command line, which tells the pipe PIPE whenever it tries to lock the directory FOLDER.
LOCKING = """
import os, sys

def tell(event, values):
    if event == "fcntl.flock" and os.path.samestat(os.fstat(values[0]), os.stat(FOLDER)):
        os.write(PIPE, b".")

FOLDER, PIPE = sys.argv.pop(1), int(sys.argv.pop(1))
sys.addaudithook(tell)
from openstack_image_manager.cli.start import main
main()
"""


class Distribution:
    """A small distribution with a signed checksum file, and definitions that follow it."""

    def __init__(self, site: TestSite, folder: Path, key: Made) -> None:
        self.site, self.folder, self.key = site, folder, key
        self.keys = folder / "keys"
        self.keys.mkdir()
        (self.keys / "key.asc").write_bytes(key.certificate)
        self.images = folder / "images"
        self.images.mkdir()

    def publish(self, path: str = "/a", **files: bytes) -> None:
        """Publish these images, and the checksum file with its signature."""
        for name, data in files.items():
            self.site.put(f"{path}/{name}.qcow2", data)
        self.site.put(f"{path}/SUMS", sums(**files))
        self.site.put(f"{path}/SUMS.asc", self.key.sign(sums(**files)))

    def definition(self, name: str = "A", path: str = "/a", versions: str = "[]", more: str = "") -> str:
        return f"""\
  - name: {name}  # by us
    format: qcow2
    multi: true
{more}    resolve:
      steps:
        - checksum-file: {self.site.url}{path}/SUMS
          match: '(?P<version>\\d{{8}})\\.qcow2'
      build_date: '{{version}}'
      signature: {{kind: detached, over: checksum, url: '{{checksum_url}}.asc', keys: {self.key.fingerprint}}}
    versions: {versions}
"""

    def write(self, *definitions: str) -> Path:
        file = self.images / "a.yml"
        file.write_text(HEAD + "".join(definitions), encoding="utf-8")
        return file

    def run(self, *options: str) -> Outcome:
        return run_main(self._arguments(*options), {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "NO_COLOR": "1"})

    def command(self, *options: str) -> list[str]:
        """`update` as a process of its own."""
        return [sys.executable, "-m", "openstack_image_manager", *self._arguments(*options)]

    def stopped(self, path: str, hold: threading.Event, *options: str) -> Outcome:
        """What such a process says when it is ended while it reads that path, which hangs until `hold`."""
        reads = threading.Event()
        self.site.on(path, Switches(hold=hold, entered=reads))
        with subprocess.Popen(
            self.command(*options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert reads.wait(60)
                process.terminate()
                out, err = process.communicate(timeout=60)
            finally:
                hold.set()
        return Outcome(process.returncode, out, err)

    def stopped_at_lock(self, folder: Path, *options: str) -> Outcome:
        """What such a process says when it is ended while it waits for the lock on that directory."""
        told, tells = os.pipe()
        command = [sys.executable, "-c", LOCKING, str(folder), str(tells), *self._arguments(*options)]
        locked = os.open(folder, os.O_RDONLY)
        fcntl.flock(locked, fcntl.LOCK_EX)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[tells]
        ) as process:
            try:
                assert select.select([told], [], [], 60)[0]
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)
            finally:
                process.kill()
                for descriptor in (told, tells, locked):
                    os.close(descriptor)
        return Outcome(process.returncode, out, err)

    def _arguments(self, *options: str) -> list[str]:
        return ["update", "--images", str(self.images), "--keys", str(self.keys), "--no-cache", *options]
