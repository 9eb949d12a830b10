"""Definitions of the catalogue have no versions of their own: theirs is what the upstream has now."""

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
    """Asks the upstreams of one run, whose documents all clouds share."""

    sites: Sites
    verify: Verify

    def resolve(
        self, definitions: Sequence[Definition], there: Mapping[str, Mapping[str, Image]]
    ) -> tuple[dict[str, Definition | Error], dict[str, str]]:
        """By name: the definitions with their upstream's newest build as their one version, or why it is not known; and
        what to warn of. `there`: the cloud's images by definition and version. A build that is older than the newest of
        them is an Error. Raises Interrupted."""
        newest = {each.name: _newest(there.get(each.name, {})) for each in definitions}
        asked = [each.model_copy(update={"versions": _recorded(newest[each.name])}) for each in definitions]
        found: dict[str, Definition | Error] = {}
        warnings: dict[str, str] = {}
        for definition, answer in upstream.check_all(asked, self.sites, self.verify):
            if isinstance(answer, Interrupted):
                raise Interrupted("interrupted while the upstreams were queried; nothing was changed, run again")
            if isinstance(answer, Error):
                found[definition.name] = answer
            else:
                version = pinned(definition, answer, newest[definition.name])
                real = self.sites.request_url(version.url)
                if real != version.url:
                    version = version.model_copy(update={"mirror_url": real})
                found[definition.name] = definition.model_copy(update={"versions": [version]})
                warnings |= {definition.name: answer.stale_warning} if answer.stale_warning else {}
        return found, warnings


def _newest(images: Mapping[str, Image]) -> tuple[str, Image] | None:
    """The newest version that the cloud has, and its image; what an interrupted run left does not count."""
    usable = [
        (version, image)
        for version, image in images.items()
        # Anybody who may write the property can call it what no definition may.
        if is_usable(image) and not markers.is_pending(image) and 0 < len(version) <= LONGEST
    ]
    return max(usable, key=lambda each: order(each[0]), default=None)


def _recorded(newest: tuple[str, Image] | None) -> list[Version]:
    """The cloud's newest version as a definition would have it, so that no upstream can take the cloud back."""
    if newest is None:
        return []
    version, image = newest
    try:
        url = values.url(image.properties.get("image_source", ""))
    except ValueError:  # private, or changed by somebody
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
    """The build as a version. Where the image is in the cloud already, under this or another name, it is that
    version, and what the image tells of the build stays: indexes are signed anew each day, and the time of a file on a
    mirror says when it was copied, but that makes no other image."""
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
