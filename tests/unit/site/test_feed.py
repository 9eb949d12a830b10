"""The feed of a site: valid, with what is new, what retires and what ends, each entry under an id that stays."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from xml.etree import ElementTree

from tests.support import offered
from tests.support.offered import ATOM, TODAY
from tests.support.plans import definition

from openstack_image_manager.site import atom


def entries(content: bytes) -> list[ElementTree.Element]:
    return ElementTree.fromstring(content).findall(f"{ATOM}entry")


def test_the_feed_has_what_rfc_4287_asks_for(files):
    root = ElementTree.fromstring(files["feed.xml"])
    listed = entries(files["feed.xml"])
    assert len(listed) == atom.MOST
    when = [each.findtext(f"{ATOM}updated") for each in listed]
    assert when == sorted(when, reverse=True)
    assert root.findtext(f"{ATOM}updated") == when[0]
    assert root.findtext(f"{ATOM}author/{ATOM}name") == "Images & more"
    ids = [each.findtext(f"{ATOM}id") for each in (root, *listed)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", each) for each in ids)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", each) for each in when)
    assert [link.get("rel") for link in root.findall(f"{ATOM}link")] == ["self", "alternate"]
    for each in listed:
        assert each.find(f"{ATOM}link").get("href") in files
        assert each.findtext(f"{ATOM}title")
        assert each.findtext(f"{ATOM}content")


def test_ids_of_entries_stay_and_new_builds_come_on_top(site, files):
    moved = entries(offered.files(replace(site, title="Other"), "https://images.example.org/here")["feed.xml"])
    before = entries(files["feed.xml"])
    assert [each.findtext(f"{ATOM}id") for each in moved] == [each.findtext(f"{ATOM}id") for each in before]
    assert moved[0].find(f"{ATOM}link").get("href").startswith("https://images.example.org/here/images/")
    alone = offered.surveyed([definition("Debian 13", ("20261001",))])
    wanted = definition("Debian 13", ("20261001", "20261101"))
    old = atom.news(alone, TODAY, 90)
    new = atom.news(offered.surveyed([wanted]), TODAY, 90)
    assert {each.id for each in old} < {each.id for each in new}
    assert new[0].title == "Debian 13 20261101"


def test_hidden_images_and_ends_of_support_are_entries():
    meta = {"os_distro": "fedora", "os_version": "43", "uuid_validity": "none"}
    wanted = definition("Fedora 43", ("20261001", "20261101"), meta=meta)
    site = offered.surveyed([wanted])
    entries = {entry.title: entry for entry in atom.news(site, TODAY, 90)}
    assert list(entries) == [
        "Fedora 43 (20261001) retired",
        "Fedora 43 20261101",
        "Fedora 43 20261001",
        "Support of Fedora 43 ends on 2026-12-09",
    ]
    assert "Images: Fedora 43." in entries["Support of Fedora 43 ends on 2026-12-09"].text
    later = [each.title for each in atom.news(site, date(2026, 12, 10), 90)]
    assert later[0] == "Support of Fedora 43 has ended"
    assert "verified before the import: sha256:" in entries["Fedora 43 20261101"].text


def test_entries_contain_verification_and_cloud(site):
    offer = site.offers[0]

    def entry(**changes):
        build = replace(offer.front, **changes)
        one = replace(site.distributions[0], images=(replace(offer, builds=(build,)),))
        return atom.news(replace(site, distributions=(one,)), TODAY, 90)[0]

    assert "not verified" in entry(verified="no").text
    assert "verification unknown" in entry(verified="unknown").text
    assert "after the import: sha256:" in entry(verified="after import").text
    assert "signed with the key AB" in entry(signed_by="AB").text
    assert entry().title.endswith((" in north", " in south"))


def test_a_feed_without_news_is_a_feed(site):
    root = ElementTree.fromstring(atom.atom(site, [], None))
    assert root.findtext(f"{ATOM}updated") == site.looked_at
