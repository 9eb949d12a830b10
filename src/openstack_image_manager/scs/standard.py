"""List the images that scs-0104 requires, and check that they exist and come from the right source.

Source: Sovereign Cloud Stack, scs-0104 "Standard Images" and its conformance test, which looks images up by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from openstack_image_manager.model import Image
from openstack_image_manager.scs.rules import IMAGES, Level
from openstack_image_manager.scs.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Standard:
    """A standard image with this `name` (or a name that begins with `pattern`). `missing`: the level if it is missing;
    None: it is optional. `sources`: allowed beginnings of image_source. `purpose`: the required os_purpose."""

    test: str
    name: str
    sources: tuple[str, ...]
    missing: Level | None = None
    pattern: str = ""
    purpose: str = ""

    def matches(self, name: str) -> bool:
        """Return whether an image with this name is this standard image."""
        return bool(re.match(self.pattern, name)) if self.pattern else name == self.name


def _ubuntu(version: str, codename: str, missing: Level | None = None) -> Standard:
    site = "https://cloud-images.ubuntu.com"
    sources = (f"{site}/releases/{codename}/", f"{site}/{codename}/")
    return Standard(f"ubuntu-{version.replace('.', '')}", f"Ubuntu {version}", sources, missing)


def _debian(version: str, codename: str, missing: Level | None = None) -> Standard:
    sources = (
        f"https://cloud.debian.org/images/cloud/{codename}/",
        f"https://cdimage.debian.org/cdimage/cloud/{codename}/",
    )
    return Standard(f"debian-{version}", f"Debian {version}", sources, missing)


_CAPI = "openstack-k8s-capi-images/"
STANDARD: tuple[Standard, ...] = (
    _ubuntu("24.04", "noble", "error"),
    _ubuntu("22.04", "jammy", "note"),
    _ubuntu("20.04", "focal"),
    _debian("13", "trixie", "note"),
    _debian("12", "bookworm"),
    _debian("11", "bullseye"),
    _debian("10", "buster"),
    Standard(
        "capi",
        "ubuntu-capi-image v1.33",
        (
            f"https://nbg1.your-objectstorage.com/osism/{_CAPI}",
            # the previous source, which is still accepted
            f"https://swift.services.a.regiocloud.tech/swift/v1/AUTH_b182637428444b9aa302bb8d5a5a418c/{_CAPI}",
        ),
        "note",
        r"ubuntu-capi-image[ -]v\d\.\d+",
        "k8snode",
    ),
)
TESTS = tuple(f"scs-0104-{what}-{each.test}" for each in STANDARD for what in ("image", "source"))


def judge(images: Sequence[Image], standards: Sequence[str], is_all: bool = True) -> Iterator[Verdict]:
    """Check images against scs-0104, if `standards` name it. `is_all`: the list is complete, so that others are
    missing."""
    for standard in STANDARD if IMAGES in standards else ():
        existing = [image for image in images if standard.matches(image.name)]
        if not existing and is_all and standard.missing:
            verb = "must" if standard.missing == "error" else "should"
            message = f"is missing; there {verb} be an image of exactly this name"
            if standard.pattern:
                message = "is missing; there should be a node image for Cluster API, of this or another version"
            yield Verdict(
                standard.missing, f"scs-0104-image-{standard.test}", standard.name, "", "name", message, (IMAGES,)
            )
        for image in existing:
            yield from _judge(image, standard)


def _judge(image: Image, standard: Standard) -> Iterator[Verdict]:
    test = f"scs-0104-source-{standard.test}"
    source = image.properties.get("image_source", "")
    if not source.startswith(standard.sources):
        message = f"'{source}' is not a source of this image; expected: {' or '.join(standard.sources)}"
        yield Verdict("error", test, image.name, image.id, "image_source", message, (IMAGES,))
    purpose = image.properties.get("os_purpose")
    if standard.purpose and purpose != standard.purpose:
        message = f"'{purpose or ''}' must be {standard.purpose}"
        yield Verdict("error", test, image.name, image.id, "os_purpose", message, (IMAGES,))
