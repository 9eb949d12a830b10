"""Define the data of a site as frozen types. `images.json` holds exactly these."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

Verified = Literal["before import", "after import", "no", "unknown"]
State = Literal["supported", "ending", "ended", "unknown"]


@dataclass(frozen=True, slots=True)
class Place:
    """An image of a build in one cloud."""

    cloud: Annotated[str, Field(description="Name of the cloud.")]
    id: Annotated[str, Field(description="Id of the image there.")]
    name: Annotated[str, Field(description="Name of the image there.")]
    visibility: Annotated[
        Literal["public", "community"], Field(description="community: not listed by default; usable by its id.")
    ]
    created: Annotated[str, Field(description="When it was created in the cloud (RFC 3339, UTC).")]
    retired: Annotated[str | None, Field(description="The day on which it was hidden (YYYY-MM-DD).")]
    stored: Annotated[
        str | None, Field(description="Digest of the stored data, algorithm:hex; a download has the same.")
    ]
    size: Annotated[int | None, Field(description="Bytes of the stored data.")]


@dataclass(frozen=True, slots=True)
class Build:
    """One version of an image."""

    version: Annotated[str, Field(description="Version, or the day of the build.")]
    built: Annotated[str | None, Field(description="The day it was built (YYYY-MM-DD).")]
    age: Annotated[int | None, Field(description="Days since it was built.")]
    current: Annotated[bool, Field(description="True if it has the plain name in at least one cloud.")]
    checksum: Annotated[
        str | None, Field(description="Digest of the published file, verified at the import; algorithm:hex.")
    ]
    verified: Annotated[Verified, Field(description="When the digest was verified; no: there was none.")]
    signed_by: Annotated[str | None, Field(description="Fingerprint of the key that signed the digest or the image.")]
    signer: Annotated[str | None, Field(description="Owner of that key, if it is well known.")]
    signed_at: Annotated[str | None, Field(description="When it was signed (UTC).")]
    source: Annotated[str | None, Field(description="URL at the upstream.")]
    places: Annotated[tuple[Place, ...], Field(description="The clouds that have it.")]

    @property
    def here(self) -> Place:
        """Return the image in the first cloud."""
        return self.places[0]

    @property
    def retired(self) -> bool:
        """Return whether no cloud lists it as a public image."""
        return all(place.visibility != "public" for place in self.places)


@dataclass(frozen=True, slots=True)
class Life:
    """The support period of a release."""

    label: Annotated[str, Field(description="Name of the release.")]
    phase: Annotated[str, Field(description="Kind of support that ends.")]
    released: Annotated[str | None, Field(description="The day of the release (YYYY-MM-DD).")]
    end: Annotated[str | None, Field(description="The last day of support (YYYY-MM-DD); null: unknown.")]
    state: Annotated[State, Field(description="ending: within 90 days.")]
    said_by: Annotated[
        Literal["endoflife.date", "provided_until"] | None,
        Field(description="Source of the end: endoflife.date, or provided_until of the image."),
    ]


@dataclass(frozen=True, slots=True)
class Offer:
    """An image that tenants can choose, in one or more builds."""

    name: Annotated[str, Field(description="Plain name of the image.")]
    page: Annotated[str, Field(description="Its page, relative to this file.")]
    architecture: Annotated[str | None, Field(description="architecture, such as x86_64.")]
    os_distro: Annotated[str | None, Field(description="os_distro.")]
    os_version: Annotated[str | None, Field(description="os_version.")]
    login: Annotated[str | None, Field(description="User to log in with.")]
    min_disk: Annotated[int, Field(description="Smallest root disk in GiB.")]
    min_ram: Annotated[int, Field(description="Smallest memory in MiB.")]
    format: Annotated[str | None, Field(description="Disk format.")]
    rebuilt: Annotated[str | None, Field(description="replace_frequency (SCS-0102).")]
    ids_stay: Annotated[str | None, Field(description="uuid_validity (SCS-0102).")]
    provided_until: Annotated[str | None, Field(description="provided_until (SCS-0102).")]
    life: Annotated[Life, Field(description="Support period of its release.")]
    builds: Annotated[tuple[Build, ...], Field(description="The current build first, then from new to old.")]

    @property
    def front(self) -> Build:
        """Return the build that the pages show first."""
        return self.builds[0]

    @property
    def earlier(self) -> tuple[Build, ...]:
        """Return all other builds."""
        return self.builds[1:]


@dataclass(frozen=True, slots=True)
class Distribution:
    """The images of one distribution."""

    name: Annotated[str, Field(description="Name of the distribution.")]
    page: Annotated[str, Field(description="Its page, relative to this file.")]
    images: Annotated[tuple[Offer, ...], Field(description="Its images, newest releases first.")]


@dataclass(frozen=True, slots=True)
class Site:
    """The content of a site."""

    title: Annotated[str, Field(description="Title of the site.")]
    clouds: Annotated[tuple[str, ...], Field(description="Names of the clouds.")]
    looked_at: Annotated[str, Field(description="Time of the data (RFC 3339, UTC).")]
    distributions: Annotated[tuple[Distribution, ...], Field(description="Distributions by name.")]

    @property
    def offers(self) -> list[Offer]:
        """Return the images of all distributions."""
        return [offer for distribution in self.distributions for offer in distribution.images]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `document`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **TypeAdapter(Site).json_schema(mode="serialization"),
    }


def document(site: Site) -> str:
    """Return the site as JSON."""
    return json.dumps(asdict(site), indent=1, ensure_ascii=False) + "\n"
