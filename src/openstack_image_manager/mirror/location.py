"""Derive the key and the URL of a version in a mirror. There is no other derivation."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urlsplit

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import LATEST, Definition, Version, public_url
from openstack_image_manager.errors import Error, UsageError

RECORD = ".mirror.json"  # suffix of a record, after the name of its object
LONGEST_KEY = 1024 - len(RECORD)  # bytes of a key
SUMS = "SHA256SUMS"
STREAMS = "streams/v1/"
INDEX_FILE = f"{STREAMS}index.json"
UNNEEDED_FILE = ".mirror-unneeded.json"  # since when objects are unneeded
_INDEX_KEY = re.compile(rf"(?:.*/)?{SUMS}(?:[.]gpg)?|{STREAMS}.*|{re.escape(UNNEEDED_FILE)}")


@dataclass(frozen=True, slots=True)
class Target:
    """A part of a bucket, or a directory.

    `prefix` is empty or ends with a slash. `public`: the public URL of the prefix, without a slash at the end.
    """

    bucket: str
    prefix: str
    public: str
    scheme: str = "s3"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")

    def url(self, key: str) -> str:
        """Return the public URL of the object."""
        return f"{self.public}/{quote(key.removeprefix(self.prefix))}"

    def key(self, definition: Definition, version: Version) -> str:
        """Return the key from `mirror_url`, or else SHORTNAME/VERSION-SHORTNAME.FORMAT. Raises Error if it is not a
        valid key below the prefix."""
        name = self._key_from_url(version.mirror_url) if version.mirror_url else _default_key(definition, version)
        key = self.prefix + name
        if not all(part.strip(".") for part in name.split("/")) or not name.isprintable():
            raise Error(f"'{key}' is not a valid object key")
        if key.endswith(RECORD) or len(key.encode()) > LONGEST_KEY:
            raise Error(f"'{key}': a key has at most {LONGEST_KEY} bytes, and does not end with {RECORD}")
        if _INDEX_KEY.fullmatch(name):
            raise Error(f"'{key}': this name is reserved for the index; set another mirror_url")
        return key

    def _key_from_url(self, url: str) -> str:
        start = f"{self.public}/"
        if not url.startswith(start) or {"?", "#"} & set(url):
            raise Error(
                f"mirror_url {public_url(url)} is not below {self.public}, the public URL of this bucket; "
                "correct --public-url, or remove mirror_url"
            )
        return unquote(url.removeprefix(start))


def parse_target(bucket: str, endpoint: str, public: str | None = None) -> Target:
    """Parse `--bucket`.

    `public`: the public URL, if it is not ENDPOINT/NAME/prefix, or the URL of the directory. Raises UsageError.
    """
    name, prefix = split_bucket(bucket)
    local = is_directory(bucket)
    if public is not None:
        parts = urlsplit(public)
        plain = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        if not (plain or (parts.scheme == "file" and not parts.netloc)) or parts.query:
            raise UsageError(f"--public-url {public_url(public)} is not a plain URL like https://example.org/images")
        address = public
    elif not local and "@" in urlsplit(endpoint).netloc:
        message = "remove the user and password, because URLs are written into definitions"
        raise UsageError(f"--endpoint {public_url(endpoint)}: {message}; set AWS_ACCESS_KEY_ID instead")
    else:
        address = f"file://{quote(name)}" if local else f"{endpoint.rstrip('/')}/{name}/{quote(prefix)}"
    return Target(name, prefix, address.rstrip("/"), "file" if local else "s3")


def is_directory(bucket: str) -> bool:
    """Return True for file:///path."""
    return bucket.startswith("file:")


def split_bucket(bucket: str) -> tuple[str, str]:
    """Return the name and prefix of s3://NAME/prefix, or the path of file:///path, which has no prefix. Raises
    UsageError."""
    if is_directory(bucket):
        path = re.fullmatch(r"file://(/[^?#]+)", bucket)
        if not path or (whole := posixpath.normpath("/" + unquote(path[1]).lstrip("/"))) == "/" or "\0" in whole:
            raise UsageError(f"--bucket {bucket}: write it like file:///srv/mirror")
        return whole, ""
    match = re.fullmatch(r"s3://([A-Za-z0-9][A-Za-z0-9._-]*)/*(.*?)/*", bucket)
    if not match:
        raise UsageError(f"--bucket {bucket}: write it like s3://NAME or s3://NAME/prefix, or file:///srv/mirror")
    return match[1], f"{match[2]}/" if match[2] else ""


def _default_key(definition: Definition, version: Version) -> str:
    short = slug(definition.shortname or definition.name.lower())
    return f"{short}/{slug(version.version)}-{short}.{definition.format}"


def slug(text: str) -> str:
    """Keep letters, digits and the characters that every file system and URL accepts."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")


@dataclass(frozen=True, slots=True)
class Item:
    """A version to mirror. `error`: why its key is unknown."""

    definition: Definition
    version: Version
    key: str
    error: Error | None = None

    @property
    def subject(self) -> str:
        """Return the name that messages show."""
        return naming.image_name(self.definition, self.version.version, newest=False)


def items(definitions: Iterable[Definition], target: Target) -> list[Item]:
    """Return all versions except `latest`, which has no copy. Two versions with the same key are an error of both."""
    candidates = [
        _item(definition, version, target)
        for definition in definitions
        for version in definition.versions
        if version.version != LATEST
    ]
    uses = Counter(item.key for item in candidates if not item.error)
    return [_with_key_conflict(item, candidates) if uses[item.key] > 1 else item for item in candidates]


def _item(definition: Definition, version: Version, target: Target) -> Item:
    try:
        return Item(definition, version, target.key(definition, version))
    except Error as error:
        return Item(definition, version, "", error)


def _with_key_conflict(item: Item, candidates: list[Item]) -> Item:
    others = [other.subject for other in candidates if other.key == item.key and other is not item]
    message = f"'{item.key}' would also be the key of {' and '.join(others)}; set another shortname or mirror_url"
    return replace(item, error=Error(message))
