"""The files of a site: links that lead somewhere, a valid index and feed, nothing from elsewhere, the same bytes."""

from __future__ import annotations

import json
import posixpath
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urlsplit
from xml.etree import ElementTree

import jsonschema
from tests.support import offered
from tests.support.offered import ATOM
from tests.support.plans import definition

from openstack_image_manager.site.pages import ids_stay, rebuilt


class Page(HTMLParser):
    """Links, ids, and what a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        assert not [name for name in values if name == "style" or name.startswith("on")], (
            f"the policy forbids it: {tag}"
        )
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        elif "src" in values or (tag == "link" and values["rel"] != "alternate"):
            self.fetched.append(values.get("src") or values["href"])


def test_every_link_leads_somewhere_and_nothing_comes_from_elsewhere(files):
    pages = {path: Page(content.decode()) for path, content in files.items() if path.endswith(".html")}
    assert len(pages) > 70
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), path
        for link in page.fetched:
            assert not urlsplit(link).netloc, f"{path} fetches {link}"
        for link in page.links + page.fetched:
            if not urlsplit(link).scheme:
                target = link.partition("#")
                file = posixpath.normpath(posixpath.join(posixpath.dirname(path), target[0])) if target[0] else path
                assert file in files, f"{path} links to {link}"
                assert not target[2] or target[2] in pages[file].ids, f"{path} links to {link}"
    linked = {posixpath.normpath(link) for link in pages["index.html"].links}
    assert {path for path in pages if path != "index.html"} <= linked
    for name in ("style.css", "site.js", "icon.svg"):
        text = files[name].decode().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text
        assert "@import" not in text


def test_everything_is_on_the_pages(site, files):
    for offer in site.offers:
        text = files[offer.page].decode()
        for build in offer.builds:
            for place in build.places:
                assert place.id in text
            digest = (build.checksum or "").partition(":")[2]
            assert digest
            assert digest in text
        assert (offer.login or "") in text
    ubuntu = files["images/ubuntu-24.04.html"].decode()
    assert "signed by Ubuntu, 2026-" in ubuntu
    assert offered.UBUNTU_KEY in ubuntu
    assert "Images &amp; more" in ubuntu


def test_the_same_site_gives_the_same_bytes(site, files):
    again = offered.surveyed(list(reversed(offered.definitions(2))), "north", "south", title="Images & more")
    assert offered.files(again) == files
    assert list(files)[-1] == "index.html"
    later = offered.files(replace(site, looked_at="2026-11-24T23:00:00Z"))
    assert {path for path in files if files[path] != later[path]} == {"index.html", "images.json"}


def test_the_index_matches_its_schema(site, files):
    schema = json.loads(files["images.schema.json"])
    data = json.loads(files["images.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema, jsonschema.Draft202012Validator)
    objects = [schema, *schema["$defs"].values()]
    described = [field for each in objects for field in each["properties"].values()]
    assert all("description" in field for field in described)
    images = [image for distribution in data["distributions"] for image in distribution["images"]]
    assert [image["name"] for image in images] == [offer.name for offer in site.offers]


def test_names_are_shown_as_they_are():
    wanted = definition('<b>"x"</b> & {{ 7 * 7 }}', ("1",), meta={"os_distro": "<i>"})
    site = offered.surveyed([wanted])
    files = offered.files(site)
    assert b"<b>" not in files["index.html"] + files[site.offers[0].page]
    assert b"&lt;b&gt;&#34;x&#34;&lt;/b&gt; &amp; {{ 7 * 7 }}" in files["index.html"]
    assert ElementTree.fromstring(files["feed.xml"]).findtext(f"{ATOM}entry/{ATOM}title") == f"{wanted.name} 1"


def test_texts_of_promises():
    assert [ids_stay(each) for each in ("last-3", "none", None, "forever", "notice", "2027-01-01")] == [
        "the last 3 builds stay",
        "nothing is promised",
        "nothing is promised",
        "all builds stay",
        "until notice is given",
        "until 2027-01-01",
    ]
    assert [rebuilt(each) for each in (None, "critical_bug", "monthly")] == ["not known", "critical bug", "monthly"]
