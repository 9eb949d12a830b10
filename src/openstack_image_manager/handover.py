"""PURE: images of former owners: which of them a definition may take, and what is believed of them.

All that the project could write itself - name, properties, tags, protection - counts for nothing but to find the image.
Its bytes it could choose, but never change again: an image is taken only when they are known to be the version's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from openstack_image_manager import desired
from openstack_image_manager.changes import FIELDS
from openstack_image_manager.format import Definition, Version
from openstack_image_manager.identity import belongs, identify
from openstack_image_manager.model import WHOLE, Finding, Image
from openstack_image_manager.ways import is_packed


@dataclass(frozen=True, slots=True)
class Taken:
    """An image of a former owner. `found`: as it is; `believed`: without what its project could have written. `proof`:
    the checksum that its bytes have to be compared with first; None: Glance's own digest is that checksum."""

    found: Image
    believed: Image
    proof: str | None


def split(
    images: Iterable[Image], definitions: Iterable[Definition], project: str | None
) -> tuple[list[Image], list[Image]]:
    """The images that are looked after, and those of former owners that their definitions might take."""
    known = {definition.name: definition for definition in definitions}
    owners = {project, *(definition.owner for definition in known.values())}
    ours: list[Image] = []
    theirs: list[Image] = []
    for image in images:
        key = identify(image, known)
        if key is None:
            if project is None or image.visibility == "public" or image.owner in owners:
                ours.append(image)
        elif belongs(image, known[key[0]], project):
            ours.append(image)
        elif image.owner in known[key[0]].former_owners:
            theirs.append(image)
    return ours, theirs


def choose(
    definition: Definition, given: Sequence[tuple[str, Image]], there: Collection[str]
) -> tuple[dict[str, Taken], list[Finding]]:
    """The image of a former owner to take for each version that has none yet, and why others are left where they are.
    `there`: the versions that have a usable image."""
    defined = {version.version: version for version in definition.versions}
    candidates: dict[str, list[Taken]] = defaultdict(list)
    findings: list[Finding] = []
    for build, image in given:
        version = defined.get(build)
        if build in there:
            findings.append(_left(definition, image, f"version {build} has an image already"))
        elif version is None:
            findings.append(_left(definition, image, f"version {build} is not defined"))
        elif why := _objection(definition, version, image):
            findings.append(_left(definition, image, why))
        else:
            candidates[build].append(_taken(definition, version, image))
    chosen: dict[str, Taken] = {}
    for build, its in candidates.items():
        # Of equal bytes any is as good as the other; of what is still to be compared one must be forged.
        its.sort(key=lambda each: (each.proof is not None, each.found.created_at, each.found.id))
        if its[0].proof is None or len(its) == 1:
            chosen[build] = its.pop(0)
        others = "another one stands for" if build in chosen else f"{len(its)} claim to be"
        why = f"{others} version {build}"
        findings += [_left(definition, each.found, why) for each in its]
    return chosen, findings


def _left(definition: Definition, image: Image, why: str) -> Finding:
    return Finding(
        "warning" if "wrong bytes" in why else "note",
        definition.name,
        f"{image.id} stays with its former owner {image.owner}: {why}",
    )


def _objection(definition: Definition, version: Version, image: Image) -> str:
    """What speaks against taking the image; empty: nothing does."""
    if image.status not in WHOLE or image.import_task:
        return f"it is {image.status}, not whole"
    if (version.visibility or definition.visibility) == "shared" and definition.members is None:
        return "whom it shall be shared with is not defined (members)"
    if version.checksum is None:
        return "the definition has no checksum to know its bytes by"
    if _is_right(version, image):
        return ""
    if image.disk_format != definition.format:
        return f"its bytes can't be compared: it is {image.disk_format} by now, not {definition.format}"
    if is_packed(version.url):
        return "its bytes can't be compared: the checksum may be that of the packed file"
    if version.checksum.partition(":")[0] == image.hash_algorithm:
        return f"wrong bytes: {image.hash_algorithm}:{image.hash_value} instead of {version.checksum}"
    return ""


def _is_right(version: Version, image: Image) -> bool:
    return version.checksum == f"{image.hash_algorithm}:{image.hash_value}"


def _taken(definition: Definition, version: Version, image: Image) -> Taken:
    verified = {desired.VERIFIED: f"{version.checksum}{desired.AFTER}"}
    believed = replace(
        image, name="", properties=verified, tags=frozenset(), protected=False, owner=definition.owner or image.owner
    )
    return Taken(image, believed, None if _is_right(version, image) else version.checksum)


def reasons_for_taking(taken: Taken, wanted: Image) -> dict[str, str]:
    """Why the fields of an image that changes hands change."""
    gone = taken.found.properties.keys() - wanted.properties.keys() - set(FIELDS)
    reasons = dict.fromkeys(gone, "not from the definition")
    how = f"if its bytes are those of {taken.proof}" if taken.proof else "Glance has the right digest of its bytes"
    return {**reasons, "owner": f"given over: {how}", desired.VERIFIED: how}
