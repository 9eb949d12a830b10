"""Define the YAML format as frozen types; their JSON Schema is the format's schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from openstack_image_manager import redaction
from openstack_image_manager.checksum import BROKEN, Checksum
from openstack_image_manager.definitions import values
from openstack_image_manager.definitions.resolvers.model import Resolve

MOST = 2**31 - 1  # Glance takes no greater number
LATEST = "latest"  # the version of a moving URL
LONGEST = 255  # characters of a version, which becomes a part of the image's name


public_url = redaction.public_url


def _checksum(value: str) -> str:
    return str(Checksum.parse(value))


Visibility = Literal["public", "community", "shared", "private"]
Format = Literal["aki", "ari", "ami", "raw", "iso", "vhd", "vhdx", "vdi", "qcow2", "vmdk", "ploop"]
Url = Annotated[str, AfterValidator(values.url)]
PropertyValue = Annotated[str, AfterValidator(values.property_value)]
# Property names and values as Glance takes them: names of at most 255 characters, values are strings.
Meta = dict[
    Annotated[str, Field(min_length=1, max_length=255), AfterValidator(values.property_name)],
    Annotated[str | None, BeforeValidator(values.text), AfterValidator(values.property_value)],
]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Member(_Record):
    """Whom a shared image is shared with: one project (of a domain), or all projects of a domain; by name or id."""

    project: str | None = Field(None, min_length=1, description="Name or id of a project.", examples=["shop"])
    domain: str | None = Field(
        None,
        min_length=1,
        description="Name or id of the project's domain (default: default); without project: all projects of it.",
        examples=["customers"],
    )

    @model_validator(mode="after")
    def _names_someone(self) -> Member:
        if self.project is None and self.domain is None:
            raise ValueError("names no one; write project: NAME, or domain: NAME for all projects of a domain")
        return self


def _member(value: Any) -> Any:
    return {"project": value} if isinstance(value, str) else value


class Version(_Record):
    """One build of an image."""

    version: Annotated[str, AfterValidator(values.name)] = Field(
        min_length=1,
        max_length=LONGEST,
        description="Version or build; 'latest' follows the checksum file.",
        examples=["20240416"],
    )
    url: Url = Field(
        description="Where the upstream publishes the image; http, https or file.",
        examples=["https://cloud-images.ubuntu.com/noble/20240416/noble-server-cloudimg-amd64.img"],
    )
    mirror_url: Url | None = Field(
        None,
        description="A copy of the same bytes; tried before url.",
        examples=["https://mirror.example.org/noble/20240416.img"],
    )
    mirror_checksum: Annotated[str, AfterValidator(_checksum)] | None = Field(
        None,
        description="algorithm:digest of the image at mirror_url, where checksum is that of a packed file or not set.",
        examples=["sha256:94e1e2c94dbbae7d4bdc38e68590a1daf73c9de2d03dd693857b4b0a042548e8"],
    )
    checksum: Annotated[str, AfterValidator(_checksum)] | None = Field(
        None,
        description="algorithm:digest (or the bare digest) of the file at url, or of the unpacked image.",
        examples=["md5:d41d8cd98f00b204e9800998ecf8427e"],
    )
    checksums_url: Url | None = Field(
        None,
        description="A checksum file that lists the file of url; used where checksum is missing.",
        examples=["https://cloud-images.ubuntu.com/noble/20240416/SHA256SUMS"],
    )
    checksum_url: Url | None = Field(
        None,
        description="Another name of checksums_url.",
        examples=["https://cloud-images.ubuntu.com/noble/20240416/SHA256SUMS"],
    )
    build_date: Annotated[str, AfterValidator(values.build_date)] | None = Field(
        None,
        description="When the image was built: YYYY-MM-DD or YYYY-MM-DD hh:mm:ss (UTC).",
        examples=["2024-04-16"],
    )
    size: int | None = Field(
        None, gt=0, description="Bytes of the file at url, as the upstream says.", examples=[629145600]
    )
    signed_by: Annotated[str, AfterValidator(values.fingerprint)] | None = Field(
        None,
        description="Fingerprint of the key whose signature of the checksum or the image was good.",
        examples=["D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81"],
    )
    signed_at: Annotated[str, AfterValidator(values.build_date)] | None = Field(
        None,
        description="When it was signed: YYYY-MM-DD or YYYY-MM-DD hh:mm:ss (UTC).",
        examples=["2024-04-16 09:12:33"],
    )
    source: PropertyValue | None = Field(
        None, description="The value of image_source instead of url: a URL or private.", examples=["private"]
    )
    os_version: PropertyValue | None = Field(None, description="os_version of this version.", examples=["24.04"])
    image_description: PropertyValue | None = Field(
        None, description="image_description of this version.", examples=["Ubuntu with our agent"]
    )
    meta: Meta = Field(
        default_factory=values.empty_mapping,
        description="Properties of this version, over those of the image.",
        examples=[{"patchlevel": "3"}],
    )
    visibility: Visibility | None = Field(None, description="Visibility of this version.", examples=["private"])
    hidden: bool | None = Field(
        None, description="Hide this version from the default image list (os_hidden).", examples=[True]
    )
    withdrawn: bool | None = Field(
        None,
        description="true: never import this version; its image is hidden, then handled as --outdated says.",
        examples=[True],
    )
    id: Annotated[str, AfterValidator(values.uuid)] | None = Field(
        None,
        description="The id of the image; Glance never reuses the id of a deleted image.",
        examples=["6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f"],
    )

    @property
    def checksum_file(self) -> str | None:
        """The checksum file's URL under either of its two names."""
        return self.checksums_url or self.checksum_url

    @property
    def is_signed(self) -> bool:
        """True if `signed_by` vouches for bytes: those of a checksum that cannot be forged."""
        return self.signed_by is not None and self.checksum is not None and not self.checksum.startswith(BROKEN)


class Definition(_Record):
    """An image that the cloud should have, in one or more versions."""

    name: Annotated[str, AfterValidator(values.name)] = Field(
        min_length=1, max_length=255, description="Name of the image.", examples=["Ubuntu 24.04"]
    )
    former_names: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=values.empty_list,
        description="Names that this definition had before: its images are renamed and keep their ids.",
        examples=[["Ubuntu Noble"]],
    )
    enable: bool = Field(
        True, description="false: the image is left exactly as it is (--force overrides).", examples=[False]
    )
    shortname: str | None = Field(
        None, description="A short name for file names and templates.", examples=["ubuntu-24.04"]
    )
    format: Format = Field(description="Disk format of the file.", examples=["qcow2"])
    login: PropertyValue | None = Field(
        None, description="User to log in with; becomes image_original_user.", examples=["ubuntu"]
    )
    password: str | None = Field(
        None, description="Password of that user, for tables only; never uploaded.", examples=["gocubsgo"]
    )
    min_disk: int = Field(
        0, ge=0, le=MOST, description="Smallest root disk in GiB; raised to the image's virtual size.", examples=[8]
    )
    min_ram: int = Field(0, ge=0, le=MOST, description="Smallest memory in MiB.", examples=[512])
    status: Literal["active", "deactivated"] = Field(
        "active", description="active, or deactivated: no one can use it.", examples=["deactivated"]
    )
    visibility: Visibility = Field("private", description="The projects that see the image.", examples=["public"])
    members: list[Annotated[Member, BeforeValidator(_member)]] | None = Field(
        None,
        description="With visibility shared: the projects that see the image; these and no others.",
        examples=[["shop", {"domain": "customers"}]],
    )
    protected: bool | None = Field(
        None, description="true: the image cannot be deleted; false: it can be deleted again.", examples=[True]
    )
    owner: str | None = Field(
        None, min_length=1, description="Name or id of the project that the image belongs to.", examples=["service"]
    )
    former_owners: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=values.empty_list,
        description="Names or ids of projects that images of the defined versions are taken from, once their bytes are "
        "known to be right; without owner they become ours.",
        examples=[["staging"]],
    )
    stores: list[Annotated[str, Field(min_length=1)]] | None = Field(
        None,
        min_length=1,
        description="The stores (backends) of Glance that hold the image; these and no others.",
        examples=[["fast", "slow"]],
    )
    multi: bool = Field(
        False, description="true: rebuilt regularly, the newest build has the plain name.", examples=[True]
    )
    keep: bool = Field(False, description="true: leave versions alone that are no longer defined.", examples=[True])
    separator: Annotated[str, AfterValidator(values.part_of_name)] = Field(
        " ", description="Stands between name and version.", examples=["-"]
    )
    tags: list[Annotated[str, Field(min_length=1, max_length=255), AfterValidator(values.storable)]] = Field(
        default_factory=values.empty_list, description="Tags of the image.", examples=[["team:web"]]
    )
    meta: Meta = Field(
        default_factory=values.empty_mapping,
        description="Properties of the image; null: must not be there.",
        examples=[{"architecture": "x86_64"}],
    )
    latest_url: Url | None = Field(
        None,
        description="A moving URL of the newest build (for updates).",
        examples=["https://cloud-images.ubuntu.com/noble/current/noble-server-cloudimg-amd64.img"],
    )
    latest_checksum_url: Url | None = Field(
        None,
        description="The checksum file next to latest_url (for updates).",
        examples=["https://cloud-images.ubuntu.com/noble/current/SHA256SUMS"],
    )
    resolve: Resolve | None = Field(
        None,
        description="How the newest build is found (for updates): a shipped resolver's name, one of its own, or none.",
        examples=["ubuntu"],
    )
    versions: list[Version] = Field(
        description="The versions to have.", examples=[[{"version": "1.0", "url": "https://example.org/1.0.img"}]]
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The name, and those that the definition had before."""
        return (self.name, *self.former_names)

    @property
    def offered(self) -> list[Version]:
        """The versions that a cloud should have: those that are not withdrawn."""
        return [version for version in self.versions if not version.withdrawn]
