"""Suggest `former_names` where a plan would import the images of a renamed definition again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.humanize import count
from openstack_image_manager.model import WHOLE, Finding, Image
from openstack_image_manager.plan import markers, origin


def suggestions(definitions: Iterable[Definition], orphans: Iterable[Image], project: str | None) -> list[Finding]:
    """Warnings about definitions without any image, where images without a definition have the URLs or checksums of
    their versions. `project`: ours, whose images alone count; None: any."""
    by_bytes: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for image in orphans:
        name = image.properties.get("image_name")
        if name and image.status in WHOLE and project in (None, image.owner):
            for known in (origin.source_of_image(image), markers.verified_checksum(image), markers.digest(image)):
                if known and known != "private":
                    by_bytes[known][name].add(image.id)
    findings = []
    for definition in definitions:
        images: dict[str, set[str]] = defaultdict(set)
        for version in definition.offered:
            for known in (origin.source_of(version), version.checksum or ""):
                for name, ids in by_bytes.get(known, {}).items():
                    images[name] |= ids
        for name, ids in sorted(images.items()):
            have = "has" if len(ids) == 1 else "have"
            message = (
                f"'{name}' is not defined, and {count(len(ids), 'image')} of it {have} the URL or checksum of these "
                f"versions; if it was renamed, add former_names: ['{name}'], and nothing is "
                "imported again"
            )
            findings.append(Finding("warning", definition.name, message))
    return findings
