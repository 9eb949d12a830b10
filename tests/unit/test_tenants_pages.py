"""The files of a site: links that lead somewhere, a valid index and feed, nothing from elsewhere, the same bytes."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from dataclasses import replace
from datetime import date
from functools import cache
from html.parser import HTMLParser
from urllib.parse import urlsplit
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit import offered
from tests.unit.cloud import definition

from openstack_image_manager.tenants import feed, snippets, timeline
from openstack_image_manager.tenants.offers import Life
from openstack_image_manager.tenants.pages import ids_stay, rebuilt

TODAY = date(2026, 11, 24)
ATOM = "{http://www.w3.org/2005/Atom}"


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


@pytest.fixture(scope="module")
def site():
    return offered.surveyed(offered.definitions(2), "north", "south", title="Images & more")


@pytest.fixture(scope="module")
def files(site):
    return offered.files(site)


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


def test_the_index_is_as_its_schema_says(site, files):
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


def test_words_for_promises():
    assert [ids_stay(each) for each in ("last-3", "none", None, "forever", "notice", "2027-01-01")] == [
        "the last 3 builds stay",
        "nothing is promised",
        "nothing is promised",
        "all builds stay",
        "until notice is given",
        "until 2027-01-01",
    ]
    assert [rebuilt(each) for each in (None, "critical_bug", "monthly")] == ["not known", "critical bug", "monthly"]


# --- The feed -------------------------------------------------------------------------------------------------------


def entries(content: bytes) -> list[ElementTree.Element]:
    return ElementTree.fromstring(content).findall(f"{ATOM}entry")


def test_the_feed_has_what_rfc_4287_asks_for(files):
    root = ElementTree.fromstring(files["feed.xml"])
    listed = entries(files["feed.xml"])
    assert len(listed) == feed.MOST
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
    old = feed.news(alone, TODAY, 90)
    new = feed.news(offered.surveyed([wanted]), TODAY, 90)
    assert {each.id for each in old} < {each.id for each in new}
    assert new[0].title == "Debian 13 20261101"


def test_what_retires_and_what_ends_is_told():
    meta = {"os_distro": "fedora", "os_version": "43", "uuid_validity": "none"}
    wanted = definition("Fedora 43", ("20261001", "20261101"), meta=meta)
    site = offered.surveyed([wanted])
    told = {each.title: each for each in feed.news(site, TODAY, 90)}
    assert list(told) == [
        "Fedora 43 (20261001) retired",
        "Fedora 43 20261101",
        "Fedora 43 20261001",
        "Support of Fedora 43 ends on 2026-12-09",
    ]
    assert "Images: Fedora 43." in told["Support of Fedora 43 ends on 2026-12-09"].text
    later = [each.title for each in feed.news(site, date(2026, 12, 10), 90)]
    assert later[0] == "Support of Fedora 43 has ended"
    assert "verified before the import: sha256:" in told["Fedora 43 20261101"].text


def test_entries_say_what_is_known_of_verification_and_which_cloud(site):
    offer = site.offers[0]

    def told(**changes):
        build = replace(offer.front, **changes)
        one = replace(site.distributions[0], images=(replace(offer, builds=(build,)),))
        return feed.news(replace(site, distributions=(one,)), TODAY, 90)[0]

    assert "not verified" in told(verified="no").text
    assert "nothing is known" in told(verified="unknown").text
    assert "after the import: sha256:" in told(verified="after import").text
    assert "signed with the key AB" in told(signed_by="AB").text
    assert told().title.endswith((" in north", " in south"))


def test_a_feed_without_news_is_a_feed(site):
    root = ElementTree.fromstring(feed.atom(site, [], None))
    assert root.findtext(f"{ATOM}updated") == site.looked_at


# --- The picture ----------------------------------------------------------------------------------------------------


def life(label="Debian 13", released="2025-08-09", end="2030-06-30", state="supported", said_by="endoflife.date"):
    return Life(label, "long-term support", released, end, state, said_by)


def drawn(site, *lives):
    offer = site.offers[0]
    return timeline.timeline([replace(offer, life=each) for each in lives], TODAY)


def number(percent: str) -> float:
    return float(percent.removesuffix("%"))


def test_bars_stand_where_their_days_are(site):
    picture = drawn(site, life())
    (bar,) = picture.bars
    assert [tick.label for tick in picture.ticks] == ["2025", "2026", "2027", "2028", "2029", "2030"]
    assert number(bar.x) == pytest.approx(220 / 2191 * 100, abs=0.01)  # 9 August is the 220th day after 1 January
    assert number(bar.x) + number(bar.past) == pytest.approx(number(picture.today), abs=0.02)
    assert number(bar.x) + number(bar.width) == pytest.approx((5 * 365 + 1 + 180) / 2191 * 100, abs=0.02)
    assert (bar.note, bar.short) == ("long-term support until 2030-06-30", "until 2030-06-30")
    assert [mark.current for mark in bar.marks] == [False, True]
    assert bar.text == "Debian 13: long-term support until 2030-06-30; 2 builds"


@pytest.mark.parametrize(
    ("given_life", "note", "short"),
    [
        (life(end="2026-01-01", state="ended"), "long-term support ended on 2026-01-01", "ended 2026-01-01"),
        (life(end=None, state="ended"), "long-term support has ended", "long-term support has ended"),
        (life(end=None), "long-term support, no end announced", "no end announced"),
        (life(end=None, state="unknown", said_by=None), "no end known", "no end known"),
        (life(said_by="provided_until"), "provided until 2030-06-30", "until 2030-06-30"),
    ],
)
def test_notes(site, given_life, note, short):
    (bar,) = drawn(site, given_life).bars
    assert (bar.note, bar.short, bar.is_open) == (note, short, given_life.end is None)


def test_long_lives_are_cut_and_get_fewer_years(site):
    picture = drawn(site, life(released="2004-01-01", end="2046-01-01"), life("Next", None, None, "unknown", None))
    assert len([tick for tick in picture.ticks if tick.label]) <= timeline.LABELS
    assert (picture.bars[0].x, len(picture.bars)) == ("0.00%", 2)
    undated = replace(site.offers[0], life=life(released=None), builds=(replace(site.offers[0].front, built=None),))
    (bar,) = timeline.timeline([undated], TODAY).bars
    assert (bar.past, bar.marks, bar.text.endswith("; 1 build")) == ("0.00%", (), True)


@cache
def dated():
    return offered.surveyed([definition("x", ("20260101", "20261101"))])


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_nothing_is_drawn_outside(first, last):
    picture = drawn(dated(), life(released=min(first, last).isoformat(), end=max(first, last).isoformat()))
    (bar,) = picture.bars
    values = [bar.x, bar.width, bar.past, picture.today, *(mark.x for mark in bar.marks)]
    assert all(0 <= number(value) <= 100 for value in values)
    assert number(bar.x) + number(bar.width) <= 100.01


# --- Snippets -------------------------------------------------------------------------------------------------------


@cache
def named():
    return offered.surveyed([definition("x", ("1",), login="it's")]).offers[0]


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), max_codepoint=0xFFFF), min_size=1))
def test_snippets_take_every_name_as_it_is(site_name):
    name = site_name.strip() or "x"
    offer = named()
    place = replace(offer.front.here, name=name)
    offer = replace(offer, builds=(replace(offer.front, places=(place,)),))
    command, terraform, ansible = snippets.snippets(offer)
    words = shlex.split(command.text.replace("\\\n", ""))
    assert words[words.index("--image") + 1] == name
    assert words[-1] == "it's@ADDRESS"

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
    (task,) = yaml.load(ansible.text, Loader)
    assert task["openstack.cloud.server"]["image"] == name
    (found,) = re.findall(r'^  name        = (".*")$', terraform.text.partition("resource")[0], re.MULTILINE)
    assert json.loads(found).replace("$${", "${").replace("%%{", "%{") == name
    assert not re.search(r"(?<!\$)\$\{|(?<!%)%\{", found.replace("$$", "  ").replace("%%", "  "))


def test_what_could_be_a_template_is_none():
    assert snippets.yaml("{{ x }}") == '!unsafe "{{ x }}"'
    assert snippets.yaml("Debian 13") == '"Debian 13"'
    assert snippets.hcl('a "b" ${c} %{d}') == r'"a \"b\" $${c} %%{d}"'


def test_what_is_in_no_list_is_used_by_its_id():
    offer = offered.surveyed([definition("x", ("1",), visibility="community")]).offers[0]
    assert offer.login is None
    for snippet in snippets.snippets(offer):
        assert offer.front.here.id in snippet.text
        assert "ssh" not in snippet.text
        assert "data " not in snippet.text
