"""What sites do wrong, or somebody does to them: never a wrong build, always one line that says what is wrong."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.documents import bsd, coreutils, digest, image, pre_listing
from tests.support.linux_site import BASE, DETACHED, HOST, KEY, LISTING, NAME, linux, put, refused
from tests.support.site import Switches
from tests.support.upstreams import SIGNED_AT, World, ask, signature, verify

from openstack_image_manager.errors import Error, FetchError
from openstack_image_manager.upstreams.newest import newest
from openstack_image_manager.upstreams.sites import Sites


def test_an_alias_that_moves_between_two_requests(world: World) -> None:
    """The checksum file was fetched before the upload of a new image: it is fetched once more."""
    site = world.host(HOST)
    new = image("new", 3000)
    put(world, {NAME: new})
    site.on("/SUMS", Switches(contents=[bsd({NAME: image("old")}).encode(), bsd({NAME: new}).encode()]))
    build = ask(world, linux())
    assert (build.size, build.checksum and build.checksum.digest) == (3000, digest(new))
    assert site.count("/SUMS") == 2


def test_a_checksum_file_that_stays_wrong_is_asked_twice_and_no_more(world: World) -> None:
    put(world, {NAME: image("new", 3000)}, text=bsd({NAME: image("old")}))
    message = refused(world, linux())
    assert message == f"{BASE}/{NAME}: has 3000 bytes, {BASE}/SUMS says 2000"
    assert world.host(HOST).count("/SUMS") == 2


def test_two_documents_that_contradict_each_other(world: World) -> None:
    put(world, {NAME: image("new")})
    world.host(HOST).put("/OTHER", coreutils({NAME: image("old")}).encode())
    message = refused(world, linux(checksum={"url": f"{BASE}/OTHER"}))
    assert message == f"{BASE}/OTHER and {BASE}/SUMS contradict each other on {NAME}"
    world.host(HOST).put("/OTHER", coreutils({"else.qcow2": image("old")}).encode())
    message = refused(world, linux(checksum={"url": f"{BASE}/OTHER"}))
    assert message.startswith(f"{BASE}/OTHER: the checksum file has no digest of {NAME}; it has 'else.qcow2': give ")


def test_two_digests_for_one_name(world: World) -> None:
    put(world, {NAME: image("new")}, text=coreutils({NAME: image("new")}) + coreutils({NAME: image("old")}))
    message = refused(world, linux())
    assert message == f"{BASE}/SUMS: the checksum file has two different sha256 digests of {NAME}"


def test_listings_that_are_cut_off(world: World) -> None:
    """Without the end, an older build would pass for the newest."""
    site = world.host(HOST)
    whole = pre_listing(["linux-20260601.qcow2", NAME])
    site.put(f"/builds/{NAME}", image("new"))
    wanted = linux(steps=[LISTING])
    for cut in (whole[: whole.index(NAME) - 4], whole[: whole.index(NAME) - 20], whole.replace("</html>", "")):
        site.on("/builds/", Switches(html=cut))
        assert refused(world, wanted).startswith(f"{BASE}/builds/: the listing is cut off")
    site.on("/builds/", Switches(html="<!doctype html><html><p>Sorry!</html>"))
    assert refused(world, wanted) == f"{BASE}/builds/: is not a listing: it contains no links"
    site.on("/builds/", Switches(html=whole))
    assert ask(world, wanted).version == "20260701"


def test_a_document_shorter_than_announced(world: World) -> None:
    put(world, {NAME: image("new"), "linux-20260601.qcow2": image("old")})
    site = world.host(HOST)
    site.on("/SUMS", Switches(truncate=100, times=1))
    assert ask(world, linux()).version == "20260701"
    site.on("/SUMS", Switches(truncate=100, ranges=False))
    message = refused(world, linux(), FetchError, timeout=1)
    assert "not finished in time, after 100 bytes; last: IncompleteRead(100 bytes read" in message


def test_a_web_page_with_200(world: World) -> None:
    page = "<!DOCTYPE html>\n<html><body>Unicorn!</body></html>"
    site = world.host(HOST)
    put(world, {NAME: image("new")})
    site.on(f"/{NAME}", Switches(html=page))
    assert refused(world, linux()) == f"{BASE}/{NAME}: a web page came instead of the file"
    site.on("/SUMS", Switches(html=page))
    assert refused(world, linux(), FetchError) == f"{BASE}/SUMS: a web page came instead of the file"


def test_a_file_that_is_no_image(world: World) -> None:
    put(world, {NAME: b"not yet\n"})
    assert refused(world, linux()) == f"{BASE}/{NAME}: does not begin like a qcow2 image"
    assert ask(world, linux(disk_format="raw")).size == 8


def test_a_site_without_dates_ranges_or_head(world: World) -> None:
    put(world, {NAME: image("new")})
    site = world.host(HOST)
    site.on(f"/{NAME}", Switches(bare=True, ranges=False, head_status=405))
    site.on("/SUMS", Switches(bare=True))
    build = ask(world, linux())
    assert (build.size, build.build_date) == (2000, None)
    text = put(world, {NAME: image("new")})
    site.put("/SUMS.asc", signature(text.encode(), KEY))
    assert ask(world, linux(signature=DETACHED)).build_date == SIGNED_AT


DOCUMENTS = (
    bsd({NAME: image("new"), "linux-20260601.qcow2": image("old")}),
    coreutils({NAME: image("new")}, "sha512"),
    json.dumps([{"version": "1", "url": "URL", "sha256": digest(image("new")), "size": "2000"}]),
    pre_listing([NAME, "linux-20260601.qcow2"]),
    f"{digest(image('new'))}\n",
)
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), st.text(max_size=4)), max_size=5)
WAYS: tuple[dict[str, Any], ...] = (
    {"checksum-file": "{site}/doc", "match": r"(?P<version>.*)"},
    {"checksum-file": "{site}/doc", "match": r"linux-(?P<version>\d+)\.qcow2"},
    {"listing": "{site}/doc", "match": "(?P<version>.+)"},
    {"json": "{site}/doc", "fields": {"version": "version", "url": "url", "checksum": "sha256", "size": "size"}},
    {"json": "{site}/doc", "syntax": "yaml", "fields": {"version": "version", "url": "url"}},
    {"pointer": "{site}/doc", "match": "(?P<version>.*)"},
)


@settings(derandomize=True, deadline=None, max_examples=int(os.environ.get("EXAMPLES", "300")), database=None)
@given(st.sampled_from(DOCUMENTS), CHANGES, st.sampled_from(WAYS), st.booleans())
def test_whatever_a_site_says_is_a_build_or_one_line(
    text: str, changes: list[tuple[float, int, str]], way: dict[str, Any], with_checksum: bool
) -> None:
    """From the document to the verdict, on the disk of this machine."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / NAME).write_bytes(image("new"))
        document = text.replace("URL", (folder / NAME).as_uri())
        for where, length, instead in changes:
            at = int(where * len(document))
            document = document[:at] + instead + document[at + length :]
        (folder / "doc").write_bytes(document.encode("utf-8", "surrogatepass"))
        resolve: dict[str, Any] = {"variables": {"site": folder.as_uri()}, "steps": [way]}
        if "pointer" in way:
            resolve["url"] = "{site}/{version}"
        if with_checksum:
            resolve["checksum"] = {"url": "{site}/doc"}
        try:
            build = newest(linux(**resolve), Sites(local_files=True), verify)
        except Error as error:
            message = str(error)
        else:
            message = "a build"
            assert build.url.startswith("file:")
            # A size that is not that of the file is never let through.
            assert build.size in (None, 2000)
        assert message.isprintable(), message
