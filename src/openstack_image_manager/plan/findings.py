"""Report what a person should know about the builds of one definition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.humanize import count
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan import markers, origin
from openstack_image_manager.plan.model import Role
from openstack_image_manager.plan.rotation import BuildOrder, build_key


def all_bad(definition: Definition) -> Finding:
    """Report that no build is left to be the current one."""
    message = (
        "left alone: every defined version was rolled back from, and no other build is in the cloud; define another "
        "version, or choose one with: rollback --to VERSION"
    )
    return Finding("warning", definition.name, message)


def rolled_back(definition: Definition, current: str, over: str | None, image: Image | None) -> list[Finding]:
    """Report a rollback that is done and lasts: `current` stays in place of `over`, as its image says."""
    if over is None or image is None or markers.PINNED_OVER not in image.properties:
        return []
    message = f"rolled back: {current} stays current in place of {over} until a newer version is defined"
    return [Finding("note", definition.name, message)]


def not_given(definition: Definition, image: Image) -> list[Finding]:
    """Report an image that stays with our project because the mark of a rollback is on it."""
    if definition.owner in (None, image.owner):
        return []
    message = (
        f"{image.id} stays with this project: a rollback is kept on it, where project {definition.owner} could write "
        "it; to transfer it, take 'owner' out, undo the rollback with: rollback --to VERSION, and set 'owner' again"
    )
    return [Finding("note", definition.name, message)]


def ahead(definition: Definition, builds: Mapping[str, Image], withheld: Version | None) -> list[Finding]:
    """Report builds that are newer than all that this run knows. `withheld`: the newest version that it knows, if it is
    not imported for that reason."""
    if not builds:
        return []
    newer = sorted(builds, key=build_key)
    images = ", ".join(f"{build} ({builds[build].id})" for build in newer)
    messages = [
        f"the cloud is ahead of these definitions: {images} is newer than every defined version and stays; is this "
        "checkout current? To withdraw a version, keep it in the definition with 'withdrawn: true'"
    ]
    if withheld:
        messages.append(
            f"version {withheld.version} is defined but not imported, for the cloud has newer builds: "
            f"{', '.join(newer)}; if the versions were renamed, keep these in the definition, too, with "
            "'withdrawn: true'"
        )
    return [Finding("warning", definition.name, message) for message in messages]


def nothing_wanted(definition: Definition, images: int) -> list[Finding]:
    """Report images of a definition that wants none of its versions."""
    if not images:
        return []
    message = (
        f"no version is wanted: what the cloud has ({count(images, 'image')}) stays as it is; to remove it, remove the "
        "definition and use --orphans hide or delete"
    )
    return [Finding("note", definition.name, message)]


def untrusted(definition: Definition, images: Iterable[tuple[str, Image]]) -> list[Finding]:
    """Report images of other projects whose claims nothing proves."""
    return [
        Finding(
            "warning",
            definition.name,
            f"{image.id} of project {image.owner} claims to be version {build}: not trusted, because its bytes "
            "cannot be compared with the definition's checksum, or differ, or more projects would see it",
        )
        for build, image in images
    ]


def other_bytes(definition: Definition, version: Version | None, image: Image) -> list[Finding]:
    """Report what was edited after the import: bytes of an image never change."""
    words = [] if version is None else origin.differences(definition, version, image)
    if version is None or not words:
        return []
    message = (
        f"version {version.version} was edited: {'; '.join(words)}; the bytes of an image cannot change: define a new "
        "version"
    )
    return [Finding("warning", definition.name, message)]


def unverified(definition: Definition, version: Version | None, image: Image) -> list[Finding]:
    """Report an image that was imported unverified, where the checksum that its version has by now proves nothing."""
    if version is None or version.checksum is None or image.properties.get(markers.VERIFIED) != markers.UNVERIFIED:
        return []
    if origin.proves_later(version, image) or origin.comparable(definition, version, image):
        return []
    message = (
        f"{image.id} was imported without a checksum and is not verified: Glance keeps {image.hash_algorithm} of the "
        f"image as stored, which cannot be compared with the checksum that version {version.version} has by now"
    )
    return [Finding("note", definition.name, message)]


def no_longer_defined(definition: Definition, order: BuildOrder, role: Role, build: str, image: Image) -> list[Finding]:
    """Report a release that left a definition without rotation, and stays visible."""
    if definition.multi or build in order.defined or role.outdated:
        return []
    validity = {**definition.meta, **order.newest.meta}.get("uuid_validity")
    why = f"uuid_validity is {validity}" if validity else "keep: true"
    message = (
        f"{image.name} ({image.id}) is no longer defined and stays visible, because {why}; to hide it, keep the "
        "version in the definition with 'withdrawn: true'"
    )
    return [Finding("note", definition.name, message)]
