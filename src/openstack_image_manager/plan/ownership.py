"""Decide which images of other projects count for a definition, and what is believed of them.

All that a project can write on its images - name, properties, tags, protection - counts for nothing but to find them.
Their bytes it could choose, but never change again: they count when Glance's own digest is the version's checksum.
docs/decisions/028 has the table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.model import WHOLE, Finding, Image
from openstack_image_manager.plan import desired, markers, origin
from openstack_image_manager.plan.diff import FIELDS, diff
from openstack_image_manager.plan.matching import belongs, identify, is_usable
from openstack_image_manager.plan.model import Change, Create, Delete
from openstack_image_manager.plan.retention import WIDEST_FIRST
from openstack_image_manager.plan.rotation import build_key
from openstack_image_manager.transfer.checksum_files import copy_checksum
from openstack_image_manager.transfer.unpack import is_packed

# Properties of an image by which a run decides about others; another project could therefore forge them.
UNTRUSTED = (markers.PINNED_OVER, markers.ROLLED_BACK, markers.RUN)


class Claim(IntEnum):
    """How good an image's claim to a version is, the best first. From FOREIGN on the image counts for none."""

    NAMED = 0  # ours, and the definition gives its id
    RIGHT = 1  # ours, with the right bytes
    OURS = 2  # ours, of bytes that nothing speaks against
    PROVEN = 3  # of another project, with the right bytes, and seen by as many people as the definition says
    OWNERS = 4  # of the definition's owner, of bytes that cannot be compared, or seen by fewer people
    OURS_WRONG = 5  # ours, imported with other bytes than the definition has by now
    FOREIGN = 6  # of another project, and not proven, or not to be public
    WRONG = 7  # not imported by us, with wrong bytes


def claim_of(definition: Definition, version: Version | None, image: Image, project: str | None) -> Claim:
    """How good the claim of an image to a version is; `version` None: it is not defined. `project`: ours, None: any."""
    is_ours = project is None or image.owner == project
    right = _has_right_bytes(definition, version, image, is_ours)
    if is_ours and right is not False and version is not None and version.id == image.id:
        return Claim.NAMED
    if is_ours and right is False:
        return Claim.OURS_WRONG if markers.is_imported(image) else Claim.WRONG
    if is_ours:
        return Claim.RIGHT if right else Claim.OURS
    # Once it is not public it is out of our hands.
    if image.owner != definition.owner and desired.visibility(definition, version) != "public":
        return Claim.FOREIGN
    # The right bytes are not enough to show an image to more people: its project wrote all else, such as kernel_id.
    if right is None or (right and not is_as_wide(definition, version, image)):
        return Claim.OWNERS if image.owner == definition.owner else Claim.FOREIGN
    return Claim.PROVEN if right else Claim.WRONG


def _has_right_bytes(definition: Definition, version: Version | None, image: Image, is_ours: bool) -> bool | None:
    """True: the bytes are those of the version, False: they are not, None: that cannot be compared."""
    recorded = markers.verified_checksum(image) if is_ours else ""
    proven = recorded if markers.names_its_bytes(image) else ""
    if version is None or not version.checksum:
        return True if proven else None
    if _is_right(version, image):
        return is_ours or image.disk_format == definition.format
    if proven == version.checksum:
        return True
    # Evidence that names no bytes proves none, but says with which checksum they came.
    differs = recorded not in ("", version.checksum)
    return False if differs or origin.comparable(definition, version, image) else None


@dataclass(frozen=True, slots=True)
class Weight:
    """How much the images of a definition count, by their builds. `out`: for nothing; `weak`: they take no place of
    another one; `lesser`: they take one only of each other."""

    ignored: frozenset[str]
    weak: frozenset[str]
    lesser: frozenset[str]


def weigh(definition: Definition, images: Mapping[str, Image], claims: Mapping[str, Claim]) -> Weight:
    """How much the image counts that has the best claim to a build: what the owner project wrote does only where
    nothing newer and nothing better depends on it, and wrong bytes only where they are visible already."""
    versions = {version.version: version for version in definition.versions}
    owners = {build for build in claims if claims[build] is Claim.OWNERS}
    # That its image is newer than all that is defined is what the owner project says, and nobody else.
    last = max(map(build_key, versions))
    ignored = {
        build for build in claims if claims[build] >= Claim.FOREIGN or (build in owners and build_key(build) > last)
    }
    # Published images whose claim does not rest on what it wrote, or that need not be shown to more people.
    solid = {
        build
        for build, image in images.items()
        if is_usable(image)
        and not markers.is_pending(image)
        and (claims[build] < Claim.OWNERS or (build in owners and is_as_wide(definition, versions.get(build), image)))
    }
    newest = max(map(build_key, {*(solid - ignored), *(version.version for version in definition.offered)}))
    weak = owners - solid
    # A withdrawn version is only hidden, and no other depends on it.
    withdrawn = {version.version for version in definition.versions if version.withdrawn}
    ignored |= {build for build in weak - withdrawn if build_key(build) >= newest}
    # Bytes that are known to be wrong by now stay visible where they are, and are shown to nobody else. So is what
    # another project, or somebody for it, has hidden.
    weak |= {
        build
        for build, image in images.items()
        if (claims[build] is Claim.OURS_WRONG or (claims[build] is Claim.PROVEN and is_hidden_by_others(image)))
        and not is_visible_as_defined(definition, versions[build], image)
    }
    return Weight(frozenset(ignored), frozenset(weak), frozenset(owners - versions.keys()))


def without_untrusted(image: Image, project: str | None) -> Image:
    """The image without what a project other than ours could have written to have others treated differently."""
    if project is None or image.owner == project:
        return image
    unbelieved = {*UNTRUSTED, *([markers.VERIFIED] if markers.is_pending(image) else [])}
    if not unbelieved & image.properties.keys():
        return image
    return replace(image, properties={k: v for k, v in image.properties.items() if k not in unbelieved})


def is_as_wide(definition: Definition, version: Version | None, image: Image) -> bool:
    """True for an image that as many people see as the definition says, or more: nothing has to be widened."""
    wanted = desired.visibility(definition, version)
    # Members are asked for when a plan is made. Of what came later they are not known, and not changed by that plan.
    if wanted == image.visibility == "shared" and image.members is not None:
        return (desired.members(definition) or frozenset()) <= image.members
    return WIDEST_FIRST.index(image.visibility) <= WIDEST_FIRST.index(wanted)


def is_visible_as_defined(definition: Definition, version: Version | None, image: Image) -> bool:
    """True for an image that as many people find in their lists as the definition says, or more."""
    return is_as_wide(definition, version, image) and (not image.hidden or bool(version and version.hidden))


def is_hidden_by_others(image: Image) -> bool:
    """True for an image of another project that is hidden, and not by a run."""
    return image.hidden and markers.HIDDEN_SINCE not in image.properties


def not_wider(wanted: Image, found: Image) -> Image:
    """The wanted image, but seen by no more people than the one that was found."""
    members = wanted.members
    # A public or community image is visible to everyone already, so its members add nobody.
    if members is not None and found.members is not None and found.visibility in ("shared", "private"):
        members &= found.members
    visibility = max(wanted.visibility, found.visibility, key=WIDEST_FIRST.index)
    hidden = wanted.hidden or found.hidden
    return replace(wanted, visibility=visibility, hidden=hidden, members=members if visibility == "shared" else None)


def as_found(change: Change, images: Mapping[str, Image]) -> Change:
    """The first change of an image that is not fully trusted, as a difference from the real image (`images`, by
    their ids)."""
    if isinstance(change, Create) or change.found.id not in images:
        return change
    image = images[change.found.id]
    if isinstance(change, Delete):
        return replace(change, found=image)
    reasons = dict.fromkeys(UNTRUSTED, "another project can write it")
    reasons |= {field.field: field.reason for field in change.fields}
    return replace(change, found=image, fields=diff(image, change.wanted, reasons))


@dataclass(frozen=True, slots=True)
class Takeover:
    """An image of a former owner. `found`: as it is; `believed`: without what its project could have written. `proof`:
    the checksum that its bytes have to be compared with first; None: Glance's own digest is that checksum."""

    found: Image
    trusted: Image
    proof: str | None


def split_by_owner(
    images: Iterable[Image], definitions: Iterable[Definition], project: str | None
) -> tuple[list[Image], list[Image]]:
    """The images that are looked after, and those of former owners that their definitions might take."""
    known = {definition.name: definition for definition in definitions}
    owners = {project, *(definition.owner for definition in known.values())}
    managed: list[Image] = []
    of_former_owners: list[Image] = []
    for image in images:
        key = identify(image, known)
        if key is None:
            if project is None or image.visibility == "public" or image.owner in owners:
                managed.append(image)
        elif belongs(image, known[key[0]], project):
            managed.append(image)
        elif image.owner in known[key[0]].former_owners:
            of_former_owners.append(image)
    return managed, of_former_owners


def choose_takeovers(
    definition: Definition, offered: Sequence[tuple[str, Image]], present: Collection[str]
) -> tuple[dict[str, Takeover], list[Finding]]:
    """The image of a former owner to take for each version that has none yet, and why others are left where they are.
    `there`: the versions that have a usable image."""
    defined = {version.version: version for version in definition.versions}
    candidates: dict[str, list[Takeover]] = defaultdict(list)
    findings: list[Finding] = []
    for build, image in offered:
        version = defined.get(build)
        if build in present:
            findings.append(_left(definition, image, f"version {build} has an image already"))
        elif version is None or version.withdrawn:
            why = "withdrawn" if version else "not defined"
            findings.append(_left(definition, image, f"version {build} is {why}"))
        elif why := _objection(definition, version, image):
            findings.append(_left(definition, image, why))
        else:
            candidates[build].append(_takeover(definition, version, image))
    chosen: dict[str, Takeover] = {}
    for build, takeovers in candidates.items():
        # Of equal bytes any is as good as the other; of what is still to be compared one must be forged.
        takeovers.sort(key=lambda takeover: (takeover.proof is not None, takeover.found.created_at, takeover.found.id))
        if takeovers[0].proof is None or len(takeovers) == 1:
            chosen[build] = takeovers.pop(0)
        others = "another image is used for" if build in chosen else f"{len(takeovers)} claim to be"
        why = f"{others} version {build}"
        findings += [_left(definition, takeover.found, why) for takeover in takeovers]
    return chosen, findings


def _left(definition: Definition, image: Image, why: str) -> Finding:
    return Finding(
        "warning" if "wrong bytes" in why else "note",
        definition.name,
        f"{image.id} stays with its former owner {image.owner}: {why}",
    )


def _objection(definition: Definition, version: Version, image: Image) -> str:
    """The reason not to take the image; empty: there is none."""
    if image.status not in WHOLE or image.import_task:
        return f"it is {image.status}, not whole"
    if desired.visibility(definition, version) == "shared" and definition.members is None:
        return "its members are not defined"
    if version.checksum is None:
        return "the definition has no checksum to know its bytes by"
    if image.disk_format != definition.format:
        return f"its bytes cannot be compared: its format is {image.disk_format}, not {definition.format}"
    if _is_right(version, image):
        return ""
    if is_packed(version.url):
        return "its bytes cannot be compared: the checksum may be that of the packed file"
    if version.checksum.partition(":")[0] == image.hash_algorithm:
        return f"wrong bytes: {image.hash_algorithm}:{image.hash_value} instead of {version.checksum}"
    return ""


def _is_right(version: Version, image: Image) -> bool:
    return markers.digest(image) in (version.checksum, copy_checksum(version))


def _takeover(definition: Definition, version: Version, image: Image) -> Takeover:
    verified = {markers.VERIFIED: f"{version.checksum}{markers.AFTER}", markers.BYTES: markers.digest(image)}
    believed = replace(
        image, name="", properties=verified, tags=frozenset(), protected=False, owner=definition.owner or image.owner
    )
    return Takeover(image, believed, None if _is_right(version, image) else version.checksum)


def reasons_for_taking(takeover: Takeover, wanted: Image) -> dict[str, str]:
    """Why the fields of an image that changes hands change."""
    gone = takeover.found.properties.keys() - wanted.properties.keys() - set(FIELDS)
    reasons = dict.fromkeys(gone, "not from the definition")
    how = (
        f"if its bytes are those of {takeover.proof}" if takeover.proof else "Glance has the right digest of its bytes"
    )
    return {**reasons, "owner": f"given over: {how}", markers.VERIFIED: how}
