"""Run the object storage of the sandbox: Swift with its S3 API, four processes with their own users."""

from __future__ import annotations

import base64
import errno
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from openstack_image_manager.errors import Error
from openstack_image_manager.files import write_private
from openstack_image_manager.sandbox import swiftconf
from openstack_image_manager.sandbox.install import MARKER, discard, fingerprint, install, is_complete
from openstack_image_manager.sandbox.process import HOST, Say
from openstack_image_manager.sandbox.swiftconf import BACKENDS, PROXY, Keys

SERVICES = (PROXY, *BACKENDS)
REQUIREMENTS = Path(__file__).with_name("swift-requirements.txt")
USERS = ("admin", "member")
KEYS = "keys.json"


@dataclass(frozen=True)
class Account:
    """The access of one user to the object storage. `url` is the endpoint of S3 and of Swift's own API."""

    url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = swiftconf.REGION

    def environment(self) -> Mapping[str, str]:
        """Return the variables for S3 clients."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }


@dataclass(frozen=True)
class ObjectStore:
    """Swift in the state directory of a sandbox: `swift-venv` has the installation, `swift` the configuration and
    data."""

    state: Path

    @property
    def directory(self) -> Path:
        return self.state / "swift"

    def environment_file(self, user: str = "admin") -> Path:
        """Return the path of the file with lines `export NAME=value` for a shell."""
        return self.state / ("object-storage.env" if user == "admin" else f"object-storage-{user}.env")

    def check(self) -> None:
        """Raise `Error` if Swift cannot run: it needs Linux and extended attributes."""
        if not hasattr(os, "setxattr"):
            raise Error("--object-storage needs Linux: Swift does not run elsewhere")
        if "%" in str(self.state):  # special in its configuration files
            raise Error(
                f"--object-storage: Swift cannot live in {self.state}, because of the %; choose another --state"
            )
        probe = self.state / "xattr-probe"
        try:
            probe.touch()
            os.setxattr(probe, "user.swift.probe", b"x")
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise
            raise Error(
                f"--object-storage needs a file system with extended attributes, and that of {self.state} has none; "
                "choose another directory with --state"
            ) from error
        finally:
            probe.unlink(missing_ok=True)

    def install(self, say: Say) -> Path:
        """Make sure that Swift is installed, and return its python."""
        log = self.state / "log" / "swift-pip.log"
        return install(self.state / "swift-venv", log, say, REQUIREMENTS, "Swift", "half a minute")

    def is_outdated(self) -> bool:
        """Return whether an existing installation or storage is incomplete, or of another version of the sandbox."""
        existing = [path for path in (self.state / "swift-venv", self.directory) if path.exists()]
        return not all(is_complete(path, fingerprint(REQUIREMENTS)) for path in existing)

    def prepare(self, ports: Mapping[str, int], say: Say) -> None:
        """Create the storage if there is none, and write its configuration for these ports."""
        if not is_complete(self.directory, fingerprint(REQUIREMENTS)):
            if self.directory.exists():
                say("The object storage was made by another version of the sandbox; it starts empty")
            discard(self.directory)
            (self.directory / "devices" / swiftconf.DEVICE).mkdir(mode=0o700, parents=True)
            keys = Keys(secrets.token_hex(16), secrets.token_hex(16), base64.urlsafe_b64encode(os.urandom(32)).decode())
            write_private(self.directory / KEYS, json.dumps(asdict(keys)))
            (self.directory / MARKER).write_text(fingerprint(REQUIREMENTS))
        for name, content in swiftconf.files(self.directory, ports, self._keys()).items():
            write_private(self.directory / name, content)
        for user in USERS:
            account = self.account(f"http://{HOST}:{ports[PROXY]}", user)
            lines = [f"export {name}={value}\n" for name, value in account.environment().items()]
            write_private(self.environment_file(user), "".join(lines))

    def command(self, name: str) -> tuple[list[str], Mapping[str, str]]:
        """Return arguments and environment to start one of `SERVICES`."""
        programs = self.state / "swift-venv" / "bin"
        program = f"swift-{BACKENDS.get(name, 'proxy')}-server"
        leaks = ("PYTHON", "COV_", "SWIFT_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        env = {key: value for key, value in os.environ.items() if not key.upper().startswith(leaks)}
        # run with python: the first line of an installed program has a limited length
        command = [str(programs / "python"), str(programs / program), str(self.directory / f"{name}.conf"), "--verbose"]
        return command, {**env, "PYTHONPATH": str(self.directory)}

    def empty(self) -> None:
        """Delete all data and keys."""
        discard(self.directory)
        for user in USERS:
            self.environment_file(user).unlink(missing_ok=True)

    def account(self, url: str, user: str = "admin") -> Account:
        """Return the account of the user `admin` or `member` at `url`."""
        return Account(url, f"{swiftconf.ACCOUNT}:{user}", getattr(self._keys(), user))

    def _keys(self) -> Keys:
        try:
            return Keys(**json.loads((self.directory / KEYS).read_text()))
        except FileNotFoundError:
            raise Error(
                f"there is no object storage in {self.state}; "
                "start it: openstack-image-manager sandbox up --object-storage"
            ) from None
