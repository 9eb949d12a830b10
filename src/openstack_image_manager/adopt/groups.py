"""Group the images of a cloud that are builds of one definition, and find those that cannot have one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from openstack_image_manager.dates import as_day
from openstack_image_manager.definitions import naming, values
from openstack_image_manager.definitions.model import Format, public_url
from openstack_image_manager.model import WHOLE, Image
from openstack_image_manager.plan import age, markers, retention
from openstack_image_manager.redaction import names_a_secret

DATED = re.compile(r"(?P<name>.*[^ _-])(?P<separator>[ _-]?)\((?P<version>[^()]+)\)")
# Properties that Nova writes on snapshots of servers.
SNAPSHOT = ("instance_uuid", "base_image_ref", "block_device_mapping")
KEY_BLOCK = re.compile(r"BEGIN [A-Z ]{0,40}KEY", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Group:
    """The images of one definition; `builds`: versions and their images, newest first."""

    name: str
    multi: bool
    separator: str
    builds: tuple[tuple[str, Image], ...]


def unfit(image: Image) -> str | None:
    """Return why an image cannot have a definition; None: it can."""
    if image.status not in WHOLE:
        return f"it is {image.status}, and has no usable data"
    if markers.is_pending(image):
        return "a run has not published it yet"
    if image.properties.get("image_type") == "snapshot" or any(name in image.properties for name in SNAPSHOT):
        return "it is a snapshot of a server"
    if is_secret(image.name):
        return "its name looks like a secret"
    if image.disk_format not in get_args(Format):
        return f"its format {image.disk_format} is not valid in a definition"
    try:
        values.name(image.name)
    except ValueError as error:
        return f"its name {error}"
    return None if image.name else "it has no name"


def is_secret(text: str) -> bool:
    """Return whether a text may contain a secret."""
    return (
        names_a_secret(text)
        or bool(KEY_BLOCK.search(text))
        or any(public_url(url) != url for url in re.findall(r"\b\w+://\S+", text))
    )


def unique_names(images: Iterable[Image]) -> tuple[list[Image], list[tuple[Image, str]]]:
    """Return one image for each name (active, most visible, newest), and the other images with its id: two definitions
    cannot use the same name."""
    by_name: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        by_name[image.name].append(image)
    first, duplicates = [], []
    for same_name in by_name.values():
        same_name.sort(key=lambda image: (image.created_at, image.id), reverse=True)
        same_name.sort(key=lambda image: (image.status != "active", retention.WIDEST_FIRST.index(image.visibility)))
        first.append(same_name[0])
        duplicates += [(image, same_name[0].id) for image in same_name[1:]]
    return first, duplicates


def version_of(image: Image) -> str:
    """Return the version from the properties of an image, otherwise the day of its build."""
    version = _internal_version(image)
    day = age.built("", image.properties.get("image_build_date")) or as_day(image.created_at)
    return version or (day.strftime("%Y%m%d") if day else "1")


def _internal_version(image: Image) -> str | None:
    version = image.properties.get("internal_version", "")
    return version if version and not is_secret(version) else None


def single(image: Image) -> Group:
    """Return a group of one image, whose name newer builds get."""
    return Group(image.name, True, " ", ((version_of(image), image),))


def groups(images: Sequence[Image]) -> list[Group]:
    """Group all images by their properties, otherwise by their names. The names of images must be unique. Groups can
    have the same name if their images use different separators."""
    dated = filter(None, (DATED.fullmatch(image.name) for image in images))
    plain = {match["name"] for match in dated} & {image.name for image in images}
    kinds: dict[tuple[str, bool], dict[str, list[tuple[str, Image]]]] = defaultdict(lambda: defaultdict(list))
    alone: list[Image] = []
    for image in sorted(images, key=lambda image: image.name):
        place = _by_properties(image) or _by_name(image, plain)
        if place is None:
            alone.append(image)
        else:
            name, multi, separator, version = place
            kinds[name, multi][separator].append((version, image))
    result = [single(image) for image in alone]
    for (name, multi), by_separator in kinds.items():
        # The image with the plain name has no separator, so it joins the largest group of dated names.
        first = max(by_separator, key=lambda separator: (separator != "", len(by_separator[separator])))
        for separator, builds in by_separator.items():
            if separator == first:
                result.append(
                    _group(name, multi, separator or " ", [*builds, *(by_separator.get("", []) if separator else [])])
                )
            elif separator:
                result.append(_group(name, multi, separator, builds))
    return result


def _group(name: str, multi: bool, separator: str, builds: Sequence[tuple[str, Image]]) -> Group:
    order = sorted(builds, key=lambda build: (naming.version_key(build[0]), build[1].name == name), reverse=True)
    return Group(name, multi, separator, tuple(order))


def _by_properties(image: Image) -> tuple[str, bool, str, str] | None:
    """Return (name, multi, separator, version) from the properties that this tool, or an earlier one, wrote."""
    name = image.properties.get("image_name") or image.properties.get("image_description")
    version = _internal_version(image)
    if not name or not version or not image.name.startswith(name):
        return None
    rest = image.name.removeprefix(name)
    if not rest:
        return name, True, "", version
    if rest.endswith(f"({version})"):
        return name, True, rest.removesuffix(f"({version})"), version
    return (name, False, rest.removesuffix(version), version) if rest.endswith(version) else None


def _by_name(image: Image, plain: Collection[str]) -> tuple[str, bool, str, str] | None:
    """Return the same from the name: for `NAME (VERSION)` if an image NAME exists, and for that image."""
    if image.name in plain:
        return image.name, True, "", version_of(image)
    dated = DATED.fullmatch(image.name)
    if dated and dated["name"] in plain:
        return dated["name"], True, dated["separator"], dated["version"]
    return None
