"""The data of the site: all images that tenants may use, and no others."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.support import offered
from tests.support.offered import NOW, UBUNTU_KEY, knowledge
from tests.support.plans import definition, settled

from openstack_image_manager.plan import markers
from openstack_image_manager.site.model import Build, Offer
from openstack_image_manager.site.survey import is_offered, products, survey

CANARY = "c4n4ry"


def offers(definitions, *clouds, left_out=()) -> dict[str, Offer]:
    seen = {f"cloud{number}": images for number, images in enumerate(clouds)}
    site = survey("Images", definitions, seen, knowledge(), NOW, left_out)
    return {offer.name: offer for offer in site.offers}


def one(wanted, images) -> Offer:
    (offer,) = offers([wanted], images).values()
    return offer


def build(wanted, **properties: str) -> Build:
    (image,) = settled([wanted])
    kept = {key: value for key, value in image.properties.items() if key != markers.VERIFIED}
    return one(wanted, [replace(image, properties={**kept, **properties})]).front


@pytest.mark.parametrize(
    "change",
    [
        {"visibility": "private"},
        {"visibility": "shared"},
        {"hidden": True},
        {"visibility": "community", "hidden": True},
        {"status": "deactivated"},
        {"status": "queued"},
        {"properties": {markers.VERIFIED: f"{markers.PENDING}none"}},
    ],
)
def test_images_that_not_every_tenant_may_use_are_not_shown(change):
    wanted = definition(versions=("1", "2"))
    older, newer = sorted(settled([wanted]), key=lambda image: image.properties["internal_version"])
    properties = {**older.properties, **change.get("properties", {})}
    secret = replace(older, id=CANARY, name=CANARY, **{**change, "properties": properties})
    assert is_offered(older)
    assert not is_offered(secret)
    site = survey("Images", [wanted], {"north": [secret, newer]}, knowledge(), NOW)
    assert [each.version for each in site.offers[0].builds] == ["2"]
    assert not [path for path, content in offered.files(site).items() if CANARY.encode() in content]
    assert offers([wanted], [secret]) == {}


def test_nothing_else_of_images_and_definitions_is_shown():
    wanted = definition(
        "Debian 13",
        [
            {
                "version": "1",
                "url": f"https://user:{CANARY}@example.org/a.img?token={CANARY}&build=1",
                "meta": {"note": CANARY},
            }
        ],
        password=CANARY,
        login="debian",
        tags=[CANARY],
        owner=CANARY,
    )
    (image,) = settled([wanted])
    source = f"https://user:{CANARY}@example.org/a.img?token={CANARY}&build=1"
    image = replace(image, owner=CANARY, properties={**image.properties, "image_source": source, "os_hash": CANARY})
    site = survey("Images", [wanted], {"north": [image]}, knowledge(), NOW)
    files = offered.files(site)
    assert not [path for path, content in files.items() if CANARY.encode() in content]
    assert site.offers[0].front.source == "https://example.org/a.img?build=1"
    assert b"https://example.org/a.img?build=1" in files[site.offers[0].page]


def test_the_current_build_comes_first_then_from_new_to_old():
    wanted = definition(versions=("20260101", "20260301", "20260201"), login="ubuntu", min_ram=512)
    offer = one(wanted, settled([wanted]))
    assert [each.version for each in offer.builds] == ["20260301", "20260201", "20260101"]
    assert [each.current for each in offer.builds] == [True, False, False]
    assert (offer.front.here.name, offer.earlier[0].here.name) == ("Ubuntu 24.04", "Ubuntu 24.04 (20260201)")
    assert (offer.front.built, offer.front.age) == ("2026-03-01", 268)
    assert (offer.login, offer.min_ram, offer.min_disk, offer.format) == ("ubuntu", 512, 3, "qcow2")


def test_a_rollback_is_followed_and_a_plain_name_may_be_missing():
    wanted = definition(versions=("1", "2"))
    older, newer = sorted(settled([wanted]), key=lambda image: image.properties["internal_version"])
    swapped = [replace(older, name=newer.name), replace(newer, name="Ubuntu 24.04 (2)")]
    assert [each.version for each in one(wanted, swapped).builds] == ["1", "2"]
    (build,) = one(wanted, [older]).builds
    assert not build.current


def test_releases_side_by_side_are_one_offer_with_the_newest_first():
    wanted = definition("Talos", ("1.9.0", "1.10.0"), multi=False)
    offer = one(wanted, settled([wanted]))
    assert [(each.version, each.current, each.here.name) for each in offer.builds] == [
        ("1.10.0", True, "Talos 1.10.0"),
        ("1.9.0", False, "Talos 1.9.0"),
    ]


def test_hidden_images_have_the_day_of_hiding():
    wanted = definition(versions=("1", "2"), meta={"uuid_validity": "none"})
    offer = one(wanted, settled([wanted]))
    assert [each.retired for each in offer.builds] == [False, True]
    assert (offer.earlier[0].here.visibility, offer.earlier[0].here.retired) == ("community", "2026-11-22")


@pytest.mark.parametrize(
    ("said", "verified", "checksum"),
    [
        ({markers.VERIFIED: f"sha256:ab{markers.BEFORE}"}, "before import", "sha256:ab"),
        ({markers.VERIFIED: f"sha512:ab{markers.AFTER}"}, "after import", "sha512:ab"),
        ({markers.VERIFIED: "none"}, "no", None),
        ({markers.VERIFIED: "checked by hand"}, "unknown", None),
        ({markers.VERIFIED: f"a:b:c{markers.BEFORE}"}, "unknown", None),
        ({markers.VERIFIED: "yes"}, "unknown", None),
        ({}, "unknown", None),
    ],
)
def test_verification(said, verified, checksum):
    found = build(definition(versions=("1",)), **said)
    assert (found.verified, found.checksum) == (verified, checksum)


def test_the_signer():
    wanted = definition(versions=("1",))
    verified = {markers.VERIFIED: f"sha256:ab{markers.BEFORE}"}
    found = build(wanted, **verified, **{markers.SIGNED_BY: f"{UBUNTU_KEY} 2026-10-14 06:12:33"})
    assert (found.signed_by, found.signer, found.signed_at) == (UBUNTU_KEY, "Ubuntu", "2026-10-14 06:12:33")
    found = build(wanted, **verified, **{markers.SIGNED_BY: "AB"})
    assert (found.signed_by, found.signer, found.signed_at) == ("AB", None, None)
    assert build(wanted).signed_by is None
    assert build(wanted, image_source="javascript:alert(1)").source is None


@pytest.mark.parametrize("said", [{}, {markers.VERIFIED: "none"}, {markers.VERIFIED: "sha256:ab yesterday"}])
def test_images_without_verification_have_no_signer(said):
    found = build(definition(versions=("1",)), **said, **{markers.SIGNED_BY: f"{UBUNTU_KEY} 2026-10-14 06:12:33"})
    assert (found.signed_by, found.signer, found.signed_at) == (None, None, None)


def test_several_clouds_are_one_site():
    wanted = definition(versions=("1", "2"))
    first = settled([wanted])
    second = [replace(image, id=f"{image.id}-2") for image in first if image.properties["internal_version"] == "1"]
    offer = offers([wanted], first, second)["Ubuntu 24.04"]
    places = {each.version: [(place.cloud, place.id[-2:]) for place in each.places] for each in offer.builds}
    assert [cloud for cloud, _ in places["1"]] == ["cloud0", "cloud1"]
    assert [cloud for cloud, _ in places["2"]] == ["cloud0"]
    duplicate = replace(first[0], id="duplicate", visibility="community", created_at="2026-11-23T00:00:00Z")
    offer = one(wanted, [duplicate, *first])
    assert "duplicate" not in {place.id for each in offer.builds for place in each.places}


def test_images_of_definitions_that_were_left_out_stay_out():
    wanted, other = definition("Debian", ("1",)), definition("Debian 13", ("1",))
    images = [replace(image, properties={}) for image in settled([wanted, other])]
    images = [replace(image, properties={"internal_version": "1"}) for image in images]
    stranger = replace(images[0], id="stranger", name="Somebody's")
    assert list(offers([wanted], [*images, stranger], left_out=[other])) == ["Debian"]


def test_support_periods_of_releases():
    data = {
        "Debian 13": ("debian", "13", {}, ("Debian 13", "2025-08-09", "2030-06-30", "supported", "endoflife.date")),
        "Debian 11": ("debian", "11", {}, ("Debian 11", "2021-08-14", "2026-08-31", "ended", "endoflife.date")),
        "Fedora 43": ("fedora", "43", {}, ("Fedora 43", "2025-10-28", "2026-12-09", "ending", "endoflife.date")),
        "OPNsense": ("opnsense", "26.7", {}, ("OPNsense 26.7", "2026-07-22", None, "supported", "endoflife.date")),
        "Debian 99": ("debian", "99", {}, ("Debian 99", None, None, "unknown", None)),
        "Debian ?": ("debian", "testing", {}, ("Debian ?", None, None, "unknown", None)),
        "Own": ("own", "1", {"provided_until": "2026-11-01"}, ("Own", None, "2026-11-01", "ended", "provided_until")),
        "Own 2": ("own", "2", {"provided_until": "notice"}, ("Own 2", None, None, "unknown", None)),
        "Own 0": ("own", "0", {"provided_until": "9999-12-31"}, ("Own 0", None, None, "unknown", None)),
        "Own 9": ("own", "9", {"provided_until": "0001-01-01"}, ("Own 9", None, None, "unknown", None)),
        "Own 3": (
            "own",
            "3",
            {"provided_until": "2030-01-01"},
            ("Own 3", None, "2030-01-01", "supported", "provided_until"),
        ),
    }
    wanted = [
        definition(name, ("1",), meta={"os_distro": distro, "os_version": version, **more})
        for name, (distro, version, more, _) in data.items()
    ]
    # What has ended is not imported any more, so that the images are older than their last days.
    cloud = [
        replace(image, properties={**image.properties, **data[image.properties["image_name"]][2]})
        for image in settled(
            [definition(name, ("1",), meta={"os_distro": d, "os_version": v}) for name, (d, v, *_) in data.items()]
        )
    ]
    found = offers(wanted, cloud)
    for name, (*_, expected) in data.items():
        life = found[name].life
        assert (life.label, life.released, life.end, life.state, life.said_by) == expected
    site = survey("Images", wanted, {"north": cloud}, knowledge(), NOW)
    assert [each.name for each in site.distributions] == ["Debian", "Fedora", "OPNsense", "Own"]
    assert [each.name for each in site.distributions[0].images][-2:] == ["Debian 13", "Debian 11"]
    assert offered.files(site)
    asked = products(knowledge().catalogue, wanted, {"north": [*cloud, *settled([definition("x", ("1",))])]})
    assert {product.name for product in asked} == {"debian", "fedora", "opnsense"}


def test_values_of_images_come_before_values_of_definitions():
    wanted = definition("Debian", ("1",), meta={"os_distro": "debian", "os_version": "12"}, login="debian")
    (image,) = settled([wanted])
    image = replace(image, properties={**image.properties, "os_version": "13", "image_original_user": "admin"})
    offer = one(wanted, [image])
    assert (offer.os_version, offer.life.label, offer.login) == ("13", "Debian 13", "admin")
    assert one(wanted, [replace(image, properties={"internal_version": "1"})]).login == "debian"


def test_every_image_has_a_page_of_its_own():
    names = ["Debian 13", "Debian-13", "debian 13", "日本", "Größe/1", "..", "x" * 200]
    wanted = [definition(name, ("1",)) for name in names]
    pages = [offer.page for offer in offers(wanted, settled(wanted)).values()]
    assert len({page.lower() for page in pages}) == len(names)
    assert not [page for page in pages if ".." in page or page.count("/") != 1 or not page.isascii() or len(page) > 110]
    assert "images/debian-13.html" in pages
    assert offers(wanted, settled(wanted)) == offers(list(reversed(wanted)), settled(wanted))


def test_invisible_characters_are_removed():
    wanted = definition(versions=("1",))
    (image,) = settled([wanted])
    odd = replace(image, properties={**image.properties, "architecture": "x86\x08_64\n", "os_distro": ""})
    offer = one(wanted, [odd])
    assert offer.architecture == "x86 _64"
    site = survey("Images", [wanted], {"north": [odd]}, knowledge(), NOW)
    assert [each.name for each in site.distributions] == ["Other"]
    json.loads(offered.files(site)["images.json"])
