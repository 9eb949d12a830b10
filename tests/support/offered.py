"""A cloud of values with images for tenants: the catalogue's definitions with builds, as a run would have left them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import sha256, sha512
from uuid import NAMESPACE_URL, uuid5

from openstack_image_manager.definitions.loader import load
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.endoflife import data as eoldata
from openstack_image_manager.endoflife.releases import releases
from openstack_image_manager.model import Image
from openstack_image_manager.plan import age, markers
from openstack_image_manager.site import writer
from openstack_image_manager.site.model import Site
from openstack_image_manager.site.pages import pages
from openstack_image_manager.site.survey import Knowledge, survey
from tests.support import lifespans
from tests.support.plans import settled

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
TODAY = NOW.date()
FIRST = date(2026, 11, 20)  # the newest build of the first definition
UBUNTU_KEY = "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81"
ATOM = "{http://www.w3.org/2005/Atom}"
NOTICE = eoldata.catalogue().notice


@cache
def knowledge() -> Knowledge:
    """The ends of support as of then, and Ubuntu's key."""
    known = eoldata.catalogue()
    data = {name: releases(lifespans.document(name), product) for name, product in known.products.items()}
    return Knowledge(known, data, {UBUNTU_KEY: "Ubuntu"})


@cache
def shipped() -> tuple[Definition, ...]:
    """The catalogue."""
    return load("catalogue:").definitions


def defined(definition: Definition, number: int, builds: int) -> Definition:
    """The definition with that many builds, some weeks apart."""
    versions = []
    for build in range(builds):
        day = FIRST - timedelta(days=number * 13 % 60 + build * 31)
        name = f"{day:%Y%m%d}"
        versions.append(
            {
                "version": name,
                "url": f"https://images.example.org/{definition.shortname or number}/{name}.img",
                "checksum": f"sha256:{sha256(f'{definition.name} {name}'.encode()).hexdigest()}",
                "build_date": day.isoformat(),
                "signed_by": UBUNTU_KEY if "Ubuntu" in definition.name else None,
                "signed_at": f"{day} 06:12:33" if "Ubuntu" in definition.name else None,
            }
        )
    data = definition.model_dump(exclude={"versions", "resolve", "multi"}, exclude_none=True)
    return Definition.model_validate({**data, "multi": True, "visibility": "public", "versions": versions})


def definitions(builds: int = 4) -> list[Definition]:
    """Those of the catalogue."""
    return [defined(each, number, builds) for number, each in enumerate(shipped())]


def images(wanted: Sequence[Definition], cloud: str = "north") -> list[Image]:
    """What a run leaves of them: the oldest builds are out of the list."""
    return [_finished(image, cloud) for image in settled(list(wanted))]


def _finished(image: Image, cloud: str) -> Image:
    version = image.properties["internal_version"]
    name = image.properties["image_name"]
    key = f"{cloud} {name} {version}"
    built = age.built(version, image.properties.get("image_build_date")) or FIRST
    digest = f"sha256:{sha256(f'{name} {version}'.encode()).hexdigest()}"
    return replace(
        image,
        id=str(uuid5(NAMESPACE_URL, key)),
        created_at=f"{built}T07:00:00Z",
        hash_algorithm="sha512",
        hash_value=sha512(key.encode()).hexdigest(),
        size=sum(key.encode()) * 123_457,
        properties={**image.properties, markers.VERIFIED: f"{digest}{markers.BEFORE}"},
    )


def many(number: int, builds: int = 4) -> list[Definition]:
    """That many definitions, of the distributions of the catalogue."""
    known = shipped()
    copies = (
        each.model_copy(update={"name": f"{each.name} flavour {copy}"} if copy else {})
        for copy in range(-(-number // len(known)))
        for each in known
    )
    return [defined(each, position, builds) for position, each in zip(range(number), copies, strict=False)]


def surveyed(wanted: Sequence[Definition], *clouds: str, title: str = "Images of north") -> Site:
    """What tenants are offered of them."""
    seen = {cloud: images(wanted, cloud) for cloud in clouds or ("north",)}
    return survey(title, wanted, seen, knowledge(), NOW)


def files(site: Site, url: str | None = None) -> dict[str, bytes]:
    """The files of its site."""
    return pages(site, writer.texts(), NOTICE, url)
