"""Door to keys: the directories that hold them, and the explicit fetch that puts one there. Never the network else."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from openstack_image_manager.errors import Error, VerificationError
from openstack_image_manager.fetch import fetch_bytes
from openstack_image_manager.format import public_url
from openstack_image_manager.signing import armor, openpgp
from openstack_image_manager.signing.openpgp import Certificate
from openstack_image_manager.signing.verdict import pins

SUFFIXES = (".asc", ".gpg", ".pgp", ".pem", ".pub")
RPM_PREFIX = "RPM-GPG-KEY"  # distributions of the RPM family name their keys so, without a suffix
SYSTEM = (
    Path("/usr/share/keyrings"),
    Path("/usr/share/distribution-gpg-keys"),
    Path("/etc/apt/trusted.gpg.d"),
    Path("/etc/pki/rpm-gpg"),
)
LARGEST = 8 * 1024 * 1024  # bytes of one file; keyrings of whole distributions are smaller
MOST_FILES = 5000  # of one directory and those in it
FEW = 5  # names that a message can hold


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An RSA key as openssl has it: `data` is the DER SubjectPublicKeyInfo, `fingerprint` its SHA-256."""

    fingerprint: str
    data: bytes


AnyKey = Certificate | PublicKey


def read(data: bytes) -> tuple[AnyKey, ...]:
    """All keys in a file: OpenPGP certificates, armored or binary, and PEM public keys. Raises VerificationError."""
    found: list[AnyKey] = list(openpgp.certificates(data))
    for block in () if armor.is_binary(data) else armor.blocks(data):
        if block.label == "PUBLIC KEY":
            found.append(PublicKey(hashlib.sha256(block.data).hexdigest().upper(), block.data))
    if not found:
        raise VerificationError("it holds no key")
    return tuple(found)


def default_directory() -> Path:
    """The user's own keys (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_DATA_HOME")
    try:
        base = base or str(Path.home() / ".local" / "share")
    except RuntimeError:
        raise Error("there is no home directory to keep keys in; set XDG_DATA_HOME, or give --keys DIR") from None
    return Path(base) / "openstack-image-manager" / "keys"


class Keyring:
    """The keys in some directories (or files): the first that has a key counts. Files are read only until it is found.

    Reads each file at most once. May be used by several threads.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = tuple(places)
        self._files = (path for place in self._places for path in key_files(place))
        self._known: dict[str, AnyKey] = {}
        self._passed_over: list[str] = []
        self._lock = threading.Lock()

    def certificates(self, pinned: Sequence[str]) -> list[Certificate]:
        """Those of the pinned OpenPGP certificates that are there. Raises VerificationError if none is."""
        found = self._find(pinned)
        if certificates := [key for key in found if isinstance(key, Certificate)]:
            return certificates
        raise VerificationError(self._missing(pinned))

    def public_keys(self, pinned: Sequence[str]) -> list[PublicKey]:
        """Those of the pinned RSA keys that are there. Raises VerificationError if none is."""
        found = self._find(pinned)
        if keys := [key for key in found if isinstance(key, PublicKey)]:
            return keys
        raise VerificationError(self._missing(pinned))

    def _find(self, pinned: Sequence[str]) -> list[AnyKey]:
        with self._lock:
            while not all(each in self._known for each in pinned) and (path := next(self._files, None)):
                try:
                    for key in read(_content(path)):
                        self._known.setdefault(key.fingerprint, key)
                except (VerificationError, OSError) as error:
                    self._passed_over.append(f"{path} ({_reason(error)})")
            return [self._known[each] for each in pinned if each in self._known]

    def _missing(self, pinned: Sequence[str]) -> str:
        for key in self._known.values():
            for subkey in key.subkeys if isinstance(key, Certificate) else ():
                if subkey.fingerprint in pinned:
                    return f"{subkey.fingerprint} is a subkey: pin its primary key, {key.fingerprint}"
        places = ", ".join(f"{place}{'' if os.path.exists(place) else ' (not there)'}" for place in self._places)
        text = f"no key {' or '.join(pinned)} in {places}; get it with: keys fetch URL {pinned[0]}"
        if self._passed_over:
            rest = len(self._passed_over) - FEW
            more = f" and {rest} more" if rest > 0 else ""
            text += f". Files that could not be used: {'; '.join(self._passed_over[:FEW])}{more}"
        return text


def keyring(directory: Path | None = None) -> Keyring:
    """The keys in `directory`, then the user's own, then the system's."""
    places = [directory] if directory else []
    with suppress(Error):  # a user without a home has no keys there
        places.append(default_directory())
    return Keyring([*places, *SYSTEM])


def key_files(place: Path) -> Iterator[Path]:
    """Files that may hold keys: `place` itself, or those in it and in its directories, in the order of their names."""
    if os.path.isfile(place):  # unlike Path's, it takes a directory that may not be entered for one that is not there
        yield place
        return
    left = MOST_FILES
    for folder, folders, names in os.walk(place):
        folders[:] = sorted(folders) if Path(folder) == place else []
        for name in sorted(names):
            path = Path(folder) / name
            if (name.endswith(SUFFIXES) or name.startswith(RPM_PREFIX)) and os.path.isfile(path):
                if left == 0:
                    return
                left -= 1
                yield path


def listing(place: Path) -> Iterator[tuple[Path, AnyKey | str]]:
    """All keys of a directory with their files; of a file that can't be used, why."""
    for path in key_files(place):
        try:
            yield from ((path, key) for key in read(_content(path)))
        except (VerificationError, OSError) as error:
            yield path, _reason(error)


def fetch_key(url: str, fingerprint: str, directory: Path) -> Path:
    """Bring the key with exactly that fingerprint from `url` into `directory`, and nothing else that comes with it.

    Raises VerificationError if it is not there, or a stored copy knows that it is revoked; FetchError, Error.
    """
    (wanted,) = pins([fingerprint])
    where = public_url(url)
    try:
        keys = read(fetch_bytes(url, LARGEST))
    except VerificationError as error:
        raise VerificationError(f"{where}: {error}") from None
    key = next((each for each in keys if each.fingerprint == wanted), None)
    if key is None:
        there = ", ".join(each.fingerprint for each in keys[:FEW]) + (" …" if len(keys) > FEW else "")
        raise VerificationError(f"{where}: no key {wanted} in it; nothing was stored. It holds: {there}")
    if isinstance(key, Certificate):
        name, block = f"{wanted}.asc", armor.Block("PGP PUBLIC KEY BLOCK", key.data)
    else:
        name, block = f"{wanted}.pem", armor.Block("PUBLIC KEY", key.data)
    path = directory / name
    if isinstance(key, Certificate) and not key.primary.revoked and _is_revoked(path):
        raise VerificationError(
            f"{where}: the key {wanted} was revoked, as {path} says; this copy does not know it yet"
        )
    partial = path.with_name(f".{name}.{os.getpid()}.partial")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        partial.write_text(armor.armored(block), encoding="ascii")
        partial.replace(path)
    except OSError as error:
        raise Error(f"{path}: {_reason(error)}") from None
    return path


def _is_revoked(path: Path) -> bool:
    stored = [key for _, key in listing(path) if isinstance(key, Certificate)]
    return any(key.primary.revoked for key in stored)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise VerificationError(f"it has more than {LARGEST} bytes")
    return data


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
