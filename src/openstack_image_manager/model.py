"""The words of the project as frozen types: what is defined, what is found, what is to change.

`Definition` and `Version` are the YAML format (their JSON Schema is the format's schema). `Image` describes an
image as wanted and as found alike, so that a plan is nothing but the difference between the two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

DEFAULT_TAG = "managed_by_osism"
DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
URL_SCHEMES = ("http", "https", "ftp", "file")


@dataclass(frozen=True, slots=True)
class Checksum:
    """A digest and how it was made; `algorithm` is a name of hashlib, `digest` lower-case hex."""

    algorithm: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Checksum:
        """Read `algorithm:hex` or bare hex, whose length tells the algorithm. Raises ValueError."""
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


def _text(value: Any) -> Any:
    """Turn a YAML scalar of meta into the string Glance keeps: properties are strings only."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value


def _checksum(value: str) -> str:
    return str(Checksum.parse(value))


def _url(value: str) -> str:
    if not re.match(rf"({'|'.join(URL_SCHEMES)})://[^\s]+$", value, re.IGNORECASE):
        raise ValueError(
            f"'{value}' is not a URL; it must begin with {'://, '.join(URL_SCHEMES)}:// and hold no blanks"
        )
    return value


def _build_date(value: str) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?", value):
        raise ValueError(f"'{value}' is not a date; write YYYY-MM-DD or YYYY-MM-DD hh:mm:ss (UTC)")
    return value


def _uuid(value: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        raise ValueError(f"'{value}' is not a UUID like 6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f")
    return value.lower()


Visibility = Literal["public", "community", "shared", "private"]
Format = Literal["aki", "ari", "ami", "raw", "iso", "vhd", "vhdx", "vdi", "qcow2", "vmdk", "ploop"]
Url = Annotated[str, AfterValidator(_url)]
# Property names and values as Glance takes them: names of at most 255 characters, values are strings.
Meta = dict[Annotated[str, Field(min_length=1, max_length=255)], Annotated[str | None, BeforeValidator(_text)]]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Version(_Record):
    """One build of an image."""

    version: str = Field(min_length=1, description="Version or build of the image; 'latest' follows the checksum file.")
    url: Url = Field(description="Where the upstream publishes the image; http, https, ftp or file.")
    mirror_url: Url | None = Field(None, description="A copy of the same bytes; tried before url.")
    checksum: Annotated[str, AfterValidator(_checksum)] | None = Field(
        None,
        description="algorithm:digest (or the bare digest) of the file at url, or of the unpacked image.",
    )
    checksums_url: Url | None = Field(None, description="A checksum file that lists the file of url.")
    checksum_url: Url | None = Field(None, description="Another name of checksums_url.")
    build_date: Annotated[str, AfterValidator(_build_date)] | None = Field(
        None, description="When the image was built: YYYY-MM-DD or YYYY-MM-DD hh:mm:ss (UTC)."
    )
    source: str | None = Field(None, description="What image_source says instead of url: a URL or 'private'.")
    os_version: str | None = Field(None, description="os_version of this version.")
    image_description: str | None = Field(None, description="image_description of this version.")
    meta: Meta = Field(default_factory=dict, description="Properties of this version, over those of the image.")
    visibility: Visibility | None = Field(None, description="Visibility of this version.")
    hidden: bool | None = Field(None, description="Hide this version from the default image list (os_hidden).")
    id: Annotated[str, AfterValidator(_uuid)] | None = Field(
        None, description="The id that the image shall get; an id once deleted can't be used again."
    )

    @property
    def checksum_file(self) -> str | None:
        """The checksum file's URL under either of its two names."""
        return self.checksums_url or self.checksum_url


class Definition(_Record):
    """An image that the cloud shall have, in one or more versions."""

    name: str = Field(min_length=1, max_length=255, description="Name of the image.")
    enable: bool = Field(True, description="false: the image is left exactly as it is (--force overrides).")
    shortname: str | None = Field(None, description="A short name for file names and templates.")
    format: Format = Field(description="Disk format of the file.")
    login: str | None = Field(None, description="User to log in with; becomes image_original_user.")
    password: str | None = Field(None, description="Password of that user, for tables only; never uploaded.")
    min_disk: int = Field(0, ge=0, description="Smallest root disk in GiB; raised to the image's virtual size.")
    min_ram: int = Field(0, ge=0, description="Smallest memory in MiB.")
    status: Literal["active", "deactivated"] = Field("active", description="active, or deactivated: no one can use it.")
    visibility: Visibility = Field("private", description="Who sees the image.")
    multi: bool = Field(False, description="true: rebuilt regularly, the newest build has the plain name.")
    keep: bool = Field(False, description="true: leave versions alone that are no longer defined.")
    separator: str = Field(" ", description="Stands between name and version.")
    tags: list[Annotated[str, Field(min_length=1, max_length=255)]] = Field(
        default_factory=list, description="Tags of the image."
    )
    meta: Meta = Field(default_factory=dict, description="Properties of the image; null: must not be there.")
    latest_url: Url | None = Field(None, description="A moving URL of the newest build (for updates).")
    latest_checksum_url: Url | None = Field(None, description="The checksum file beside latest_url (for updates).")
    versions: list[Version] = Field(description="The versions to have.")


@dataclass(frozen=True, slots=True)
class Image:
    """An image as wanted or as found. Sizes: min_disk GiB, min_ram MiB, size and virtual_size bytes.

    What only Glance can know (id, owner, created_at, updated_at, size, virtual_size, hash_*) has its default in a
    wanted image and is no part of any difference.
    """

    name: str
    visibility: str
    status: str = "active"
    hidden: bool = False
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    tags: frozenset[str] = frozenset()
    properties: dict[str, str] = field(default_factory=dict)
    disk_format: str | None = None
    id: str = ""
    owner: str | None = None
    created_at: str = ""
    updated_at: str = ""
    size: int | None = None
    virtual_size: int | None = None
    hash_algorithm: str | None = None
    hash_value: str | None = None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field or property of one image: what it is, what it shall be (None: absent), and why."""

    field: str
    before: Any
    after: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Create:
    """Bring a version into the cloud; `left` is what an interrupted run left of it, to be finished or replaced."""

    definition: Definition
    version: Version
    wanted: Image
    reason: str
    left: Image | None = None

    @property
    def subject(self) -> str:
        """The name a reader knows the image by."""
        return self.wanted.name


@dataclass(frozen=True, slots=True)
class Update:
    """Make one image as wanted: `fields` is the whole difference."""

    definition: Definition
    found: Image
    wanted: Image
    fields: tuple[FieldChange, ...]
    reason: str

    @property
    def subject(self) -> str:
        """The name a reader knows the image by."""
        return self.found.name


Change = Create | Update


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a person should know that is not a change."""

    level: Literal["note", "warning", "error"]
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be done, in the order it is done within each definition."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()
    definitions: int = 0
    images: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """What the command line decides, beside the definitions."""

    tag: str = DEFAULT_TAG
    latest: bool = False
    keep: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one definition."""

    definition: str
    state: Literal["ok", "failed", "skipped"]
    done: tuple[str, ...] = ()
    message: str = ""
