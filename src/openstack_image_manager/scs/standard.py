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
    """An image by its `name` (`pattern`: what names must begin with instead). `missing`: how bad it is without it,
    None: it may be missing. `sources`: what image_source begins with. `purpose`: what os_purpose must be."""

    test: str
    name: str
    sources: tuple[str, ...]
    missing: Level | None = None
    pattern: str = ""
    purpose: str = ""

    def takes(self, name: str) -> bool:
        """True for an image that this is about."""
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
            # where these images were before; tolerated
            f"https://swift.services.a.regiocloud.tech/swift/v1/AUTH_b182637428444b9aa302bb8d5a5a418c/{_CAPI}",
        ),
        "note",
        r"ubuntu-capi-image[ -]v\d\.\d+",
        "k8snode",
    ),
)
TESTS = tuple(f"scs-0104-{what}-{each.test}" for each in STANDARD for what in ("image", "source"))


def judge(images: Sequence[Image], standards: Sequence[str], is_all: bool = True) -> Iterator[Verdict]:
    """What scs-0104 says, if it is among the `standards`. `is_all`: these are all images there are, so that one that
    is not among them is missing."""
    for each in STANDARD if IMAGES in standards else ():
        there = [image for image in images if each.takes(image.name)]
        if not there and is_all and each.missing:
            what = "must" if each.missing == "error" else "should"
            message = f"is missing; there {what} be an image of exactly this name"
            if each.pattern:
                message = "is missing; there should be a node image for Cluster API, of this or another version"
            yield Verdict(each.missing, f"scs-0104-image-{each.test}", each.name, "", "name", message, (IMAGES,))
        for image in there:
            yield from _judge(image, each)


def _judge(image: Image, standard: Standard) -> Iterator[Verdict]:
    test = f"scs-0104-source-{standard.test}"
    source = image.properties.get("image_source", "")
    if not source.startswith(standard.sources):
        message = f"'{source}' is not where this image comes from, which is {' or '.join(standard.sources)}"
        yield Verdict("error", test, image.name, image.id, "image_source", message, (IMAGES,))
    purpose = image.properties.get("os_purpose")
    if standard.purpose and purpose != standard.purpose:
        message = f"'{purpose or ''}' must be {standard.purpose}"
        yield Verdict("error", test, image.name, image.id, "os_purpose", message, (IMAGES,))
