"""Derive the data of a site from definitions and the images of clouds.

Only images that every tenant may use are included: public and community images that are active, published and not
hidden. Only the properties named here are read; passwords of definitions are not among them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256

from openstack_image_manager.dates import as_day
from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition, public_url
from openstack_image_manager.endoflife import check
from openstack_image_manager.endoflife.releases import Product, Release
from openstack_image_manager.model import Image
from openstack_image_manager.plan import age, markers
from openstack_image_manager.plan.markers import UNVERIFIED
from openstack_image_manager.plan.matching import choose_per_version, identify
from openstack_image_manager.site.model import Build, Distribution, Life, Offer, Place, Site, State, Verified

# Spelling of distributions; by product of endoflife.date, otherwise by os_distro.
NAMES = {
    "almalinux": "AlmaLinux",
    "alpine-linux": "Alpine Linux",
    "amazon-linux": "Amazon Linux",
    "arch": "Arch Linux",
    "centos": "CentOS",
    "centos-stream": "CentOS Stream",
    "cirros": "CirrOS",
    "flatcar": "Flatcar Container Linux",
    "freebsd": "FreeBSD",
    "gardenlinux": "Garden Linux",
    "opensuse": "openSUSE",
    "opnsense": "OPNsense",
    "oracle-linux": "Oracle Linux",
    "rocky-linux": "Rocky Linux",
    "sles": "SUSE Linux Enterprise",
    "talos": "Talos Linux",
}
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Data from other sources than clouds: releases by product, and owners of well-known keys by fingerprint."""

    catalogue: check.Catalogue
    releases: Mapping[str, Sequence[Release]] = field(default_factory=dict)
    signers: Mapping[str, str] = field(default_factory=dict)


def is_offered(image: Image) -> bool:
    """Return whether every tenant may see and use an image."""
    visible = image.visibility in ("public", "community") and not image.hidden
    return visible and image.status == "active" and not markers.is_pending(image)


def products(
    catalogue: check.Catalogue, definitions: Iterable[Definition], seen: Mapping[str, Sequence[Image]]
) -> list[Product]:
    """Return the products whose releases `survey` needs."""
    by_name = {definition.name: definition for definition in definitions}
    images = (image for images in seen.values() for image in images if is_offered(image))
    keyed = ((identify(image, by_name), image) for image in images)
    uses = [_use(catalogue, by_name[key[0]], image) for key, image in keyed if key]
    return list({use.product.name: use.product for use in uses if use}.values())


def survey(
    title: str,
    definitions: Sequence[Definition],
    seen: Mapping[str, Sequence[Image]],
    knowledge: Knowledge,
    moment: datetime,
    left_out: Sequence[Definition] = (),
) -> Site:
    """Return the data of the site. `seen`: the images of each cloud; `moment`: the time of the listings (UTC).
    `left_out`: definitions that are not shown, but whose images must not be taken for those of others."""
    offered = _by_version((*definitions, *left_out), seen)
    groups: dict[str, list[Offer]] = defaultdict(list)
    pages: set[str] = set()
    for definition in sorted(definitions, key=lambda definition: naming.version_key(definition.name)):
        if definition.name in offered:
            page = _page("images", definition.name, pages)
            group, offer = _offer(definition, offered[definition.name], knowledge, moment.date(), page)
            groups[group].append(offer)
    order = sorted(groups, key=lambda key: (key == OTHER, _name(key).lower(), key))
    distributions = (
        Distribution(_name(key), _page("distributions", key, pages), _newest_first(groups[key])) for key in order
    )
    looked_at = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Site(_shown(title), tuple(map(_shown, seen)), looked_at, tuple(distributions))


def _by_version(
    definitions: Iterable[Definition], seen: Mapping[str, Sequence[Image]]
) -> dict[str, dict[str, list[tuple[str, Image]]]]:
    """Return the clouds and their images by definition and version, one image for each cloud."""
    by_name = {definition.name: definition for definition in definitions}
    offered: dict[str, dict[str, list[tuple[str, Image]]]] = defaultdict(lambda: defaultdict(list))
    for cloud, images in seen.items():
        of_cloud: dict[str, list[tuple[str, Image]]] = defaultdict(list)
        for image in filter(is_offered, images):
            if key := identify(image, by_name):
                of_cloud[key[0]].append((key[1], image))
        for name, versions in of_cloud.items():
            for version, image in choose_per_version(versions)[0].items():
                offered[name][version].append((cloud, image))
    return offered


def _name(key: str) -> str:
    return NAMES.get(key) or f"{key[:1].upper()}{key[1:]}"


def _newest_first(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    return tuple(sorted(offers, key=lambda offer: naming.version_key(offer.os_version or ""), reverse=True))


def _offer(
    definition: Definition,
    versions: Mapping[str, list[tuple[str, Image]]],
    knowledge: Knowledge,
    today: date,
    page: str,
) -> tuple[str, Offer]:
    order = sorted(versions, key=naming.version_key, reverse=True)
    plain = [v for v in order if any(image.name == definition.name for _, image in versions[v])]
    current = plain if definition.multi else order[:1]
    order = [*current, *(version for version in order if version not in current)]
    builds = tuple(_build(version, versions[version], version in current, knowledge, today) for version in order)
    image = versions[order[0]][0][1]
    use = _use(knowledge.catalogue, definition, image)
    values = {**{key: value for key, value in definition.meta.items() if value}, **image.properties}
    key = use.product.name if use else (_shown(values.get("os_distro", "")) or OTHER).lower()

    def text(name: str) -> str | None:
        return _shown(values[name]) if name in values else None

    return key, Offer(
        name=_shown(definition.name),
        page=page,
        architecture=text("architecture"),
        os_distro=text("os_distro"),
        os_version=text("os_version"),
        login=text("image_original_user") or definition.login,
        min_disk=image.min_disk,
        min_ram=image.min_ram,
        format=image.disk_format,
        rebuilt=text("replace_frequency"),
        ids_stay=text("uuid_validity"),
        provided_until=text("provided_until"),
        life=_life(use, _shown(definition.name), values, knowledge, today),
        builds=builds,
    )


def _build(
    version: str, images: Sequence[tuple[str, Image]], current: bool, knowledge: Knowledge, today: date
) -> Build:
    properties = images[0][1].properties
    built = age.built(version, properties.get("image_build_date"))
    digest, when = _verified(properties)
    key, signed_at = markers.signature(images[0][1]) if digest else ("", "")
    source = properties.get("image_source", "")
    return Build(
        version=_shown(version),
        built=built.isoformat() if built else None,
        age=(today - built).days if built else None,
        current=current,
        checksum=digest,
        verified=when,
        signed_by=_shown(key) or None,
        signer=knowledge.signers.get(key),
        signed_at=_shown(signed_at) or None,
        source=_shown(public_url(source)) if re.match("(?i)(https?|ftp)://", source) else None,
        places=tuple(_place(cloud, image) for cloud, image in images),
    )


def _verified(properties: Mapping[str, str]) -> tuple[str | None, Verified]:
    """Return the verified digest and the time; values in another format are ignored."""
    text = properties.get(markers.VERIFIED, "")
    if text == UNVERIFIED:
        return None, "no"
    match = re.fullmatch(rf"(\w+:[0-9a-f]+)({markers.BEFORE}|{markers.AFTER})", text, re.ASCII)
    if match is None:
        return None, "unknown"
    return match[1], "after import" if match[2] == markers.AFTER else "before import"


def _place(cloud: str, image: Image) -> Place:
    return Place(
        cloud=_shown(cloud),
        id=image.id,
        name=_shown(image.name),
        visibility="public" if image.visibility == "public" else "community",
        created=image.created_at,
        retired=_iso(as_day(image.properties.get(markers.HIDDEN_SINCE))),
        stored=f"{image.hash_algorithm}:{image.hash_value}" if image.hash_value else None,
        size=image.size,
    )


def _use(catalogue: check.Catalogue, definition: Definition, image: Image) -> check.ReleaseUse | None:
    """Return the release of an image: its own properties come before those of the definition."""
    own = {name: value for name, value in image.properties.items() if name in ("os_distro", "os_version")}
    described = definition.model_copy(update={"versions": [], "meta": {**definition.meta, **own}})
    return next(iter(check.uses(catalogue, [described])), None)


def _life(
    use: check.ReleaseUse | None, name: str, values: Mapping[str, str], knowledge: Knowledge, today: date
) -> Life:
    releases = knowledge.releases.get(use.product.name, ()) if use else ()
    release = next((candidate for candidate in releases if use and candidate.name == use.release), None)
    notice = knowledge.catalogue.notice
    if use and release:
        label, end = f"{use.product.label} {release.name}", release.end
        state: State = "ended" if release.is_over(today) else _state(end, today, notice)
        return Life(label, use.product.phase, release.released.isoformat(), _iso(end), state, "endoflife.date")
    label = f"{use.product.label} {use.release}" if use and use.release else name
    end = as_day(values.get("provided_until"))
    # Days at the ends of the calendar mean that there is no end.
    if end is None or not 1900 <= end.year <= 2900:
        return Life(label, "support", None, None, "unknown", None)
    return Life(label, "provision", None, _iso(end), _state(end, today, notice), "provided_until")


def _state(end: date | None, today: date, notice: int) -> State:
    if end is None:
        return "supported"
    return "ended" if end < today else "ending" if (end - today).days <= notice else "supported"


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _page(folder: str, name: str, paths: set[str]) -> str:
    """Return the path of a page. It depends only on the name, unless the names of two pages look alike."""
    path = f"{folder}/{_slug(name)}.html"
    if path in paths:
        path = f"{folder}/{_slug(name)}-{_digest(name)}.html"
    paths.add(path)
    return path


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")[:80] or f"x{_digest(name)}"


def _digest(name: str) -> str:
    return sha256(name.encode(errors="backslashreplace")).hexdigest()[:8]


def _shown(text: str) -> str:
    """Remove characters that are invisible, or not valid in XML."""
    return "".join(character if character.isprintable() else " " for character in text).strip()
