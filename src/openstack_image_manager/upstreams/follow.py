"""Resolve definitions of the catalogue, which have no versions: they use the newest build of the upstream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions import values
from openstack_image_manager.definitions.model import LONGEST, Definition, Version
from openstack_image_manager.errors import Error, Interrupted
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.matching import is_usable
from openstack_image_manager.upstreams import newest as upstream
from openstack_image_manager.upstreams.build import Build, Verify, is_new, version_of
from openstack_image_manager.upstreams.candidates import order
from openstack_image_manager.upstreams.sites import Sites


@dataclass(frozen=True, slots=True)
class Follower:
    """Query the upstreams for one run; all clouds share the documents."""

    sites: Sites
    verify: Verify

    def resolve(
        self, definitions: Sequence[Definition], images: Mapping[str, Mapping[str, Image]]
    ) -> tuple[dict[str, Definition | Error], dict[str, str]]:
        """Return the definitions by name with the newest build as their only version, or an error; and the warnings.

        `images`: the images in the cloud by definition and version. A build that is older than the newest image is an
        Error. Raises Interrupted.
        """
        newest = {definition.name: _newest(images.get(definition.name, {})) for definition in definitions}
        recorded = [
            definition.model_copy(update={"versions": _recorded(newest[definition.name])}) for definition in definitions
        ]
        resolved: dict[str, Definition | Error] = {}
        warnings: dict[str, str] = {}
        for definition, answer in upstream.check_all(recorded, self.sites, self.verify):
            if isinstance(answer, Interrupted):
                raise Interrupted("interrupted while the upstreams were queried; nothing was changed, run again")
            if isinstance(answer, Error):
                resolved[definition.name] = answer
            else:
                version = pinned(definition, answer, newest[definition.name])
                resolved[definition.name] = definition.model_copy(update={"versions": [version]})
                warnings |= {definition.name: answer.warning} if answer.warning else {}
        return resolved, warnings


def _newest(images: Mapping[str, Image]) -> tuple[str, Image] | None:
    """Return the newest version in the cloud with its image; images of interrupted runs do not count."""
    usable = [
        (version, image)
        for version, image in images.items()
        # Anyone who may write the property can choose a name that no definition may have.
        if is_usable(image) and not markers.is_pending(image) and 0 < len(version) <= LONGEST
    ]
    return max(usable, key=lambda pair: order(pair[0]), default=None)


def _recorded(newest: tuple[str, Image] | None) -> list[Version]:
    """Return the newest version in the cloud as a definition would have it, to prevent a rollback."""
    if newest is None:
        return []
    version, image = newest
    try:
        url = values.url(image.properties.get("image_source", ""))
    except ValueError:  # private, or changed by a user
        url = values.UNKNOWN_SOURCE
    verified = markers.verified_checksum(image)
    try:
        checksum = str(Checksum.parse(verified))
    except ValueError:  # unverified, or made by another tool
        checksum = None
    known = Version.model_validate({"version": version, "url": url, "checksum": checksum})
    signed_by, _, signed_at = image.properties.get(markers.SIGNED_BY, "").partition(" ")
    signed = {"signed_by": signed_by, **({"signed_at": signed_at} if signed_at else {})}
    return [known.model_copy(update=signed) if _is_valid(known, signed) else known]


def pinned(definition: Definition, build: Build, newest: tuple[str, Image] | None) -> Version:
    """Return the build as a version.

    If its image is already in the cloud, under this or another name, the version is that image's, and its recorded
    dates stay. Indexes are signed again each day, and a mirror's file time is that of the copy; neither makes a new
    image.
    """
    version = version_of(build)
    if newest is None or is_new(definition, build):
        return version
    name, image = newest
    kept: dict[str, str] = {"version": name}
    built = image.properties.get("image_build_date")
    if built is not None and _is_valid(version, {"build_date": built}):
        kept["build_date"] = built
    signed_by, _, signed_at = image.properties.get(markers.SIGNED_BY, "").partition(" ")
    if signed_by == build.signed_by and _is_valid(version, {"signed_at": signed_at}):
        kept["signed_at"] = signed_at
    return version.model_copy(update=kept)


def _is_valid(version: Version, fields: Mapping[str, str]) -> bool:
    try:
        Version.model_validate({**version.model_dump(), **fields})
    except ValueError:
        return False
    return True
