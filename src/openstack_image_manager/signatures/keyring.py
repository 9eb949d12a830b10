"""Find keys in directories, and fetch a key into one on request. Only the fetch uses the network."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import Error, UsageError, VerificationError
from openstack_image_manager.files import data_directory, replace
from openstack_image_manager.signatures import armor, openpgp
from openstack_image_manager.signatures.openpgp import Certificate
from openstack_image_manager.signatures.verdict import normalize_fingerprints
from openstack_image_manager.transfer.download import fetch_bytes

SUFFIXES = (".asc", ".gpg", ".pgp", ".pem", ".pub", ".rev")
RPM_PREFIX = "RPM-GPG-KEY"  # distributions of the RPM family name their keys so, without a suffix
SHIPPED = Path(__file__).parents[1] / "catalogue" / "keys"  # of the upstreams of the catalogue
SYSTEM = (
    Path("/usr/share/keyrings"),
    Path("/usr/share/distribution-gpg-keys"),
    Path("/etc/apt/trusted.gpg.d"),
    Path("/etc/pki/rpm-gpg"),
)
LARGEST = 8 * 1024 * 1024  # bytes of one file; keyrings of whole distributions are smaller
LARGEST_KEY = LARGEST // 2  # bytes of one that is stored, in armor, which adds a third
MOST_FILES = 5000  # of one directory and those in it
ONLY_REVOCATION = "it contains a revocation but no key: the revocation applies to the stored copies of its key"
MOST_SHOWN = 5  # names in a message


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An RSA key of openssl: `data` is the DER SubjectPublicKeyInfo, `fingerprint` its SHA-256."""

    fingerprint: str
    data: bytes


AnyKey = Certificate | PublicKey


def read_keys(data: bytes) -> tuple[AnyKey, ...]:
    """Return all keys in a file: OpenPGP certificates, armored or binary, and PEM public keys. Raises
    VerificationError."""
    keys = _keys(data)
    if not keys:
        raise VerificationError(ONLY_REVOCATION if openpgp.revocations(data) else "it contains no key")
    return tuple(keys)


def _keys(data: bytes) -> list[AnyKey]:
    keys: list[AnyKey] = list(openpgp.certificates(data))
    for block in () if armor.is_binary(data) else armor.blocks(data):
        if block.label == "PUBLIC KEY":
            keys.append(PublicKey(hashlib.sha256(block.data).hexdigest().upper(), block.data))
    return keys


def default_directory() -> Path:
    """Return the directory of the user's own keys (XDG Base Directory Specification)."""
    try:
        return data_directory() / "keys"
    except RuntimeError:
        raise Error("no home directory to store keys in; set XDG_DATA_HOME, or add --keys DIR") from None


class Keyring:
    """The keys in some directories or files.

    All copies of a key count as one: each may contain another revocation, extension or subkey. Each file is read once.
    Thread-safe.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = tuple(places)
        self._files = (path for place in self._places for path in key_files(place))
        self._copies: dict[str, list[AnyKey]] = {}
        self._revocations: list[bytes] = []
        self._known: dict[str, AnyKey] = {}
        self._unusable_files: list[str] = []
        self._lock = threading.Lock()

    def certificates(self, pinned: Sequence[str]) -> list[Certificate]:
        """Return the pinned OpenPGP certificates. Raises VerificationError if none exists."""
        matching = self._find(pinned)
        if certificates := [key for key in matching if isinstance(key, Certificate)]:
            return certificates
        raise VerificationError(self._missing(pinned))

    def public_keys(self, pinned: Sequence[str]) -> list[PublicKey]:
        """Return the pinned RSA keys. Raises VerificationError if none exists."""
        matching = self._find(pinned)
        if keys := [key for key in matching if isinstance(key, PublicKey)]:
            return keys
        raise VerificationError(self._missing(pinned))

    def _find(self, pinned: Sequence[str]) -> list[AnyKey]:
        with self._lock:
            for path in self._files:
                self._read(path)
            for fingerprint in pinned:
                if fingerprint not in self._known and fingerprint in self._copies:
                    self._known[fingerprint] = _merged(self._copies[fingerprint], self._revocations)
            return [self._known[fingerprint] for fingerprint in pinned if fingerprint in self._known]

    def _read(self, path: Path) -> None:
        try:
            data = _content(path)
            self._revocations += openpgp.revocations(data)
            for key in read_keys(data):
                self._copies.setdefault(key.fingerprint, []).append(key)
        except (VerificationError, OSError) as error:
            self._unusable_files.append(f"{path} ({_reason(error)})")

    def _missing(self, pinned: Sequence[str]) -> str:
        for key in (copy for copies in self._copies.values() for copy in copies):
            for subkey in key.subkeys if isinstance(key, Certificate) else ():
                if subkey.fingerprint in pinned:
                    return f"{subkey.fingerprint} is a subkey: pin its primary key, {key.fingerprint}"
        places = ", ".join(f"{place}{'' if os.path.exists(place) else ' (not there)'}" for place in self._places)
        text = f"no key {' or '.join(pinned)} in {places}; get it with: keys fetch URL {pinned[0]}"
        if self._unusable_files:
            rest = len(self._unusable_files) - MOST_SHOWN
            more = f" and {rest} more" if rest > 0 else ""
            text += f". Files that could not be used: {'; '.join(self._unusable_files[:MOST_SHOWN])}{more}"
        return text


def keyring(directory: Path | None = None) -> Keyring:
    """Return the keys in `directory` (UsageError: there is none), then the user's own, those of the catalogue, then the
    system's."""
    if directory is not None and not os.path.lexists(directory):
        raise UsageError(f"--keys {directory}: there is no such directory; keys fetch --keys {directory} makes it")
    places = [directory] if directory else []
    with suppress(Error):  # a user without a home directory has no keys
        places.append(default_directory())
    return Keyring([*places, SHIPPED, *SYSTEM])


def key_files(place: Path) -> Iterator[Path]:
    """Yield files that may contain keys: `place` itself, or the files in it and in its directories, sorted by name."""
    if os.path.isfile(place):  # unlike Path.is_file, it returns False for a directory without permission
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


def list_keys(place: Path) -> Iterator[tuple[Path, AnyKey | str]]:
    """Yield all keys of a directory with their files, or the reason why a file cannot be used."""
    for path in key_files(place):
        try:
            yield from ((path, key) for key in read_keys(_content(path)))
        except (VerificationError, OSError) as error:
            yield path, _reason(error)


def fetch_key(url: str, fingerprint: str, directory: Path) -> Path:
    """Fetch the key with exactly this fingerprint from `url` into `directory`.

    The revocations, extensions and subkeys of a stored copy are kept. Raises VerificationError if the file has neither
    the key nor a revocation of the stored one; FetchError, Error.
    """
    (wanted,) = normalize_fingerprints([fingerprint])
    where = public_url(url)
    try:
        data = fetch_bytes(url, LARGEST)
        keys = _keys(data)
        revocations = openpgp.revocations(data)
        if not (keys or revocations):
            raise VerificationError("it contains no key")
    except VerificationError as error:
        raise VerificationError(f"{where}: {error}") from None
    stored = _stored(directory, wanted)
    copies = [key for key in keys if key.fingerprint == wanted]
    key = _merged([*stored, *copies], revocations) if stored or copies else None
    if key is None or (not copies and key == _merged(stored, ())):
        listed = ", ".join(key.fingerprint for key in keys[:MOST_SHOWN]) + (" …" if len(keys) > MOST_SHOWN else "")
        raise VerificationError(
            f"{where}: no key {wanted} in it; nothing was stored. It contains: {listed or 'a revocation'}"
        )
    if isinstance(key, Certificate):
        name, block = f"{wanted}.asc", armor.Block("PGP PUBLIC KEY BLOCK", key.data)
    else:
        name, block = f"{wanted}.pem", armor.Block("PUBLIC KEY", key.data)
    path = directory / name
    if len(block.data) > LARGEST_KEY:
        raise VerificationError(
            f"{where}: the stored copy would be larger than {LARGEST_KEY} bytes; it was not changed"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        replace(path, armor.armored(block).encode("ascii"))
    except OSError as error:
        raise Error(f"{path}: {_reason(error)}") from None
    return path


def _merged(copies: Sequence[AnyKey], revocations: Sequence[bytes]) -> AnyKey:
    """Merge all copies of a key."""
    certificates = [copy for copy in copies if isinstance(copy, Certificate)]
    return openpgp.merged(certificates, revocations) if certificates else copies[0]


def _stored(directory: Path, fingerprint: str) -> list[AnyKey]:
    """Return the copy of a key that an earlier fetch stored; an empty list if it is damaged."""
    entries = list_keys(directory / f"{fingerprint}.asc")
    return [key for _, key in entries if isinstance(key, Certificate) and key.fingerprint == fingerprint]


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise VerificationError(f"it is larger than {LARGEST} bytes")
    return data


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
