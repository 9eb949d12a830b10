"""What upstreams do wrong, or somebody does to them: never a wrong build, always one line that says what is wrong."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openstack_image_manager.errors import Error, FetchError, Interrupted, UsageError, VerificationError
from openstack_image_manager.format import Definition
from openstack_image_manager.upstreams.published import Fetch, Signature
from openstack_image_manager.upstreams.search import NothingFoundError
from openstack_image_manager.upstreams.sites import Sites
from openstack_image_manager.upstreams.upstream import Build, can_be_asked, check_all, is_new, newest
from tests.services import upstreams
from tests.services.site import Gate, Switches
from tests.services.test_upstream import NEWEST
from tests.services.upstreams import (
    SIGNED_AT,
    World,
    bsd,
    clearsigned,
    coreutils,
    definition,
    digest,
    image,
    pre_listing,
    signature,
    verify,
)

KEY = "0123456789ABCDEF0123456789ABCDEF01234567"
OTHER_KEY = "FEDCBA9876543210FEDCBA9876543210FEDCBA98"
HOST = "images.example.org"
BASE = f"https://{HOST}"
NAME = "linux-20260701.qcow2"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world") as running:
        running.host(HOST)
        yield running


def ask(world: World, wanted: Definition, **options: Any) -> Build:
    return newest(wanted, Sites(mirrors=world.mirrors, **options), verify)


def refused(world: World, wanted: Definition, kind: type[Error] = VerificationError, **options: Any) -> str:
    """What is said when there is no answer: one line, with no address of the mirror."""
    with pytest.raises(kind) as caught:
        ask(world, wanted, **options)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    return message


def linux(*versions: dict[str, Any], disk_format: str = "qcow2", **resolve: Any) -> Definition:
    """A definition with a checksum file at /SUMS, unless `resolve` says otherwise."""
    step = {"checksum-file": f"{BASE}/SUMS", "match": r"linux-(?P<version>\d+(\.\d+)*)\.qcow2"}
    fields = {"steps": [step], **resolve}
    return definition("linux", "1", resolve=fields, versions=list(versions), format=disk_format)


def put(world: World, files: dict[str, bytes], path: str = "/SUMS", text: str | None = None) -> str:
    """The files and their checksum file."""
    site = world.host(HOST)
    for name, data in files.items():
        site.put(f"/{name}", data)
    text = bsd(files) if text is None else text
    site.put(path, text.encode())
    return text


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
    assert message == f"{BASE}/OTHER: the checksum file has no digest of {NAME}"


def test_two_digests_for_one_name(world: World) -> None:
    put(world, {NAME: image("new")}, text=coreutils({NAME: image("new")}) + coreutils({NAME: image("old")}))
    message = refused(world, linux())
    assert message == f"{BASE}/SUMS: the checksum file has two different sha256 digests of {NAME}"


def test_two_files_of_one_version(world: World) -> None:
    put(world, {NAME: image("a"), "linux-20260701.raw.qcow2": image("b")})
    step = {"checksum-file": f"{BASE}/SUMS", "match": r"linux-(?P<version>\d+)(\.raw)?\.qcow2"}
    message = refused(world, linux(steps=[step]))
    assert "two different builds are called 20260701: " in message
    assert f"{BASE}/{NAME}" in message
    assert f"{BASE}/linux-20260701.raw.qcow2" in message


DETACHED = {"kind": "detached", "over": "checksum", "url": "{checksum_url}.asc", "keys": KEY}


@pytest.mark.parametrize("policy", ["required", "optional", "none"])
def test_policies_of_detached_signatures(world: World, policy: str) -> None:
    wanted = linux(signature={**DETACHED, "policy": policy})
    text = put(world, {NAME: image("new")})
    site = world.host(HOST)
    missing = f"{BASE}/SUMS: there is no signature at {BASE}/SUMS.asc, and it is required"
    if policy == "required":
        assert refused(world, wanted) == missing
    else:
        assert ask(world, wanted).signed_by is None
    site.put("/SUMS.asc", signature(b"something else", KEY))
    if policy == "none":
        assert ask(world, wanted).signed_by is None
    else:
        assert refused(world, wanted) == f"{BASE}/SUMS: bad signature"
    site.put("/SUMS.asc", signature(text.encode(), OTHER_KEY))
    if policy != "none":
        assert refused(world, wanted) == f"{BASE}/SUMS: bad signature"
    site.put("/SUMS.asc", signature(text.encode(), KEY.lower()))
    build = ask(world, wanted)
    assert (build.signed_by, build.signed_at) == ((None, None) if policy == "none" else (KEY, SIGNED_AT))


def test_a_signature_that_can_t_be_fetched_is_not_a_missing_one(world: World) -> None:
    put(world, {NAME: image("new")})
    world.host(HOST).on("/SUMS.asc", Switches(status=403))
    wanted = linux(signature={**DETACHED, "policy": "optional"})
    assert "403 Forbidden" in refused(world, wanted, FetchError)


def test_a_signature_behind_its_checksum_file_is_fetched_once_more(world: World) -> None:
    text = put(world, {NAME: image("new")})
    site = world.host(HOST)
    contents = [signature(b"of yesterday", KEY), signature(text.encode(), KEY)]
    site.on("/SUMS.asc", Switches(contents=contents))
    assert ask(world, linux(signature=DETACHED)).signed_by == KEY
    assert (site.count("/SUMS"), site.count("/SUMS.asc")) == (2, 2)


CLEARSIGNED = {"kind": "clearsigned", "over": "checksum", "keys": KEY}


def test_of_clearsigned_texts_only_what_is_signed_is_read(world: World) -> None:
    """Lines around the signed block leave the signature good."""
    forged = bsd({"linux-20260901.qcow2": image("forged")})
    put(world, {NAME: image("new"), "linux-20260901.qcow2": image("forged")}, text="")
    signed = clearsigned(bsd({NAME: image("new")}), KEY)
    for text in (forged + signed, signed + forged):
        put(world, {}, text=text)
        build = ask(world, linux(signature=CLEARSIGNED))
        assert (build.version, build.signed_by) == ("20260701", KEY)
    put(world, {}, text=clearsigned(bsd({NAME: image("new")}), KEY).replace("bytes", "Bytes"))
    assert refused(world, linux(signature=CLEARSIGNED)) == f"{BASE}/SUMS: bad signature"


def test_policies_of_clearsigned_texts(world: World) -> None:
    put(world, {NAME: image("new")})
    message = refused(world, linux(signature=CLEARSIGNED))
    assert message == f"{BASE}/SUMS: is not signed, and its signature is required"
    assert ask(world, linux(signature={**CLEARSIGNED, "policy": "optional"})).signed_by is None
    assert ask(world, linux(signature={**CLEARSIGNED, "policy": "none"})).signed_by is None


def test_a_policy_that_is_none(world: World) -> None:
    put(world, {NAME: image("new")})
    wanted = linux(signature={**DETACHED, "policy": "{policy}"}, variables={"policy": "sometimes"})
    message = refused(world, wanted, Error)
    assert message == "'sometimes' is no policy of signatures; it must be one of required, optional, none"


def test_signatures_over_images_are_verified_for_new_builds_only(world: World) -> None:
    put(world, {NAME: image("new")})
    site = world.host(HOST)
    rule = {"kind": "detached", "over": "image", "url": "{url}.sig", "keys": [KEY, OTHER_KEY]}
    site.put(f"/{NAME}.sig", signature(image("other"), KEY))
    assert refused(world, linux(signature=rule)) == f"{BASE}/{NAME}: bad signature"
    assert refused(world, linux(signature={**rule, "policy": "optional"})) == f"{BASE}/{NAME}: bad signature"
    known = {"version": "20260701", "url": f"{BASE}/{NAME}"}
    assert not is_new(linux(known, signature=rule), ask(world, linux(known, signature=rule)))
    site.put(f"/{NAME}.sig", signature(image("new"), OTHER_KEY))
    build = ask(world, linux(signature=rule))
    assert (build.signed_by, build.signed_at) == (OTHER_KEY, SIGNED_AT)
    (site.directory / f"{NAME}.sig").unlink()
    assert ask(world, linux(signature={**rule, "policy": "optional"})).signed_by is None
    assert f"{NAME}: there is no signature at {BASE}/{NAME}.sig, and it is required" in refused(
        world, linux(signature=rule)
    )
    assert ask(world, linux(signature={**rule, "policy": "none"})).signed_by is None


def test_what_the_verifier_is_told(world: World) -> None:
    text = put(world, {NAME: image("new")})
    told: list[tuple[Signature, bytes]] = []

    def look(wanted: Signature, data: bytes, fetch: Fetch) -> tuple[bytes, str | None, str | None]:
        told.append((wanted, data))
        return data, "AB" * 20, None

    keys = ("ab" * 32, "cd" * 32)
    rule = {"kind": "openssl-rsa", "over": "unpacked-image", "url": "{url}.sig", "keys": "{key}"}
    build = newest(linux(signature=rule, variables={"key": " ".join(keys)}), Sites(mirrors=world.mirrors), look)
    url = f"{BASE}/{NAME}"
    image_signature = Signature(
        "openssl-rsa", "unpacked-image", url, f"{url}.sig", ("ab" * 32, "cd" * 32), build.checksum
    )
    assert told.pop() == (image_signature, b"")
    newest(linux(signature={**CLEARSIGNED, "kind": "detached", "url": f"{BASE}/x"}), Sites(mirrors=world.mirrors), look)
    assert told.pop() == (Signature("detached", "checksum", f"{BASE}/SUMS", f"{BASE}/x", (KEY,)), text.encode())


def test_a_verifier_that_names_no_signer(world: World) -> None:
    """Whatever way led to a build: where a signed document is required, one was read."""
    put(world, {NAME: image("new")})
    rule = {**CLEARSIGNED, "kind": "detached", "url": f"{BASE}/x"}
    with pytest.raises(VerificationError, match="no signed checksum was read, and its signature is required"):
        newest(linux(signature=rule), Sites(mirrors=world.mirrors), lambda _wanted, data, _fetch: (data, None, None))


LISTING = {"listing": f"{BASE}/builds/", "match": r"linux-(?P<version>\d+)\.qcow2"}


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
    assert refused(world, wanted) == f"{BASE}/builds/: is no listing: there is not one link in it"
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


def test_the_newest_one_that_is_there(world: World) -> None:
    """Uploads are not atomic: names stand in checksum files before their files are there."""
    names = [f"linux-2026070{day}.qcow2" for day in range(1, 6)]
    files = {name: image(name) for name in names}
    put(world, files)
    site = world.host(HOST)
    for name in names[3:]:
        (site.directory / name).unlink()
    assert ask(world, linux()).version == "20260703"
    (site.directory / names[2]).unlink()
    message = refused(world, linux(), NothingFoundError)
    assert message.count("404 Not Found") == 3


def test_directories_without_builds(world: World) -> None:
    site = world.host(HOST)
    steps = [
        {"listing": f"{BASE}/", "match": r"(?P<minor>\d+\.\d+)/"},
        {"checksum-file": f"{BASE}/{{minor}}/SUMS", "match": r"linux-(?P<version>\d+)\.qcow2"},
    ]
    site.on("/", Switches(html=pre_listing(["9.9/", "9.10/", "9.11/", "9.12/", "latest/"])))
    site.put("/9.10/SUMS", coreutils({NAME: image("new")}).encode())
    site.put(f"/9.10/{NAME}", image("new"))
    site.put("/9.11/SUMS", coreutils({"readme.txt": b""}).encode())
    assert ask(world, linux(steps=steps)).url == f"{BASE}/9.10/{NAME}"
    # A site that is broken has no newest build; an older one is none.
    site.on("/9.12/SUMS", Switches(status=403))
    assert "/9.12/SUMS: 403" in refused(world, linux(steps=steps), FetchError)
    site.on("/9.12/SUMS", Switches())
    (site.directory / "9.10" / "SUMS").unlink()
    message = refused(world, linux(steps=steps), NothingFoundError)
    assert f"{BASE}/9.11/SUMS: nothing that fits" in message
    site.on("/", Switches(status=404))
    assert "404" in refused(world, linux(steps=steps), FetchError)


def test_builds_that_do_not_count(world: World) -> None:
    names = ["1.9", "1.10", "1.11", "1.12-rc.1", "1.12-rc.2"]
    put(world, {f"linux-{name}.qcow2": image(name) for name in names})
    step = {"checksum-file": f"{BASE}/SUMS", "match": r"linux-(?P<version>.*)\.qcow2"}
    assert ask(world, linux(steps=[step])).version == "1.11"
    assert ask(world, linux(steps=[step], exclude=r"1\.11")).version == "1.10"
    assert ask(world, linux(steps=[step], prereleases=True)).version == "1.12-rc.2"
    message = refused(world, linux(steps=[step], exclude=".*"), NothingFoundError)
    assert message == f"{BASE}/SUMS: only builds that do not count (pre-releases, `latest`, what exclude names)"


def test_no_way_back(world: World) -> None:
    put(world, {NAME: image("new")})
    old = {"version": "20260601", "url": f"{BASE}/1"}
    assert is_new(linux(old), ask(world, linux(old)))
    later = {"version": "20260801", "url": f"{BASE}/1"}
    message = refused(world, linux(old, later), Error)
    assert message.startswith(f"the upstream's newest build 20260701 ({BASE}/{NAME}) is older than 20260801, ")
    same = {"version": "20260701", "url": f"{BASE}/{NAME}"}
    assert not is_new(linux(old, same), ask(world, linux(old, same)))
    # Nor is it when the definition has the older one too; the same bytes under an older name are no way back, and
    # `latest` is no version.
    latest = {"version": "latest", "url": f"{BASE}/1", "checksums_url": f"{BASE}/SUMS"}
    assert "is older than 20260801" in refused(world, linux(same, later), Error)
    named = {"version": "20260801", "url": f"{BASE}/{NAME}", "checksum": digest(image("new"))}
    assert not is_new(linux(named), ask(world, linux(named)))
    assert is_new(linux(latest), ask(world, linux(latest)))


def test_a_build_that_was_replaced_under_its_name(world: World) -> None:
    put(world, {NAME: image("new")})
    had = {"version": "20260701", "url": f"{BASE}/{NAME}", "checksum": digest(image("old"))}
    message = refused(world, linux(had))
    assert message.startswith(
        f"the upstream has replaced build 20260701: {BASE}/{NAME} has sha256:{digest(image('new'))}"
    )
    assert "has replaced build 20260701" in refused(world, linux({**had, "url": f"{BASE}/else"}))
    for fine in ({"checksum": digest(image("new"))}, {"checksum": digest(b"", "md5")}):
        assert not is_new(linux({**had, **fine}), ask(world, linux({**had, **fine})))


def index(**fields: Any) -> bytes:
    return json.dumps([{"version": "1", "sha256": digest(image("new")), "size": "2000", **fields}]).encode()


JSON = {
    "json": f"{BASE}/index.json",
    "fields": {"version": "version", "url": "url", "checksum": "sha256", "size": "size"},
}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("file:///etc/shadow", "the upstream names file:///etc/shadow, where file: is not trusted; set url"),
        (f"http://{HOST}/{NAME}", f"the upstream names http://{HOST}/{NAME}, where http: is not trusted; set url"),
        (f"ftp://{HOST}/{NAME}", f"the upstream names ftp://{HOST}/{NAME}, where ftp: is not trusted; set url"),
        ("gopher://x/y", "'gopher://x/y' is no address of an image"),
        (f"{BASE}/a b", f"'{BASE}/a b' is no address of an image"),
        ("https://[x/a", "'https://[x/a' is no address of an image"),
        ("https:///a", "'https:///a' is no address of an image"),
    ],
)
def test_addresses_that_no_upstream_may_send_us_to(world: World, address: str, message: str) -> None:
    world.host(HOST).put("/index.json", index(url=address))
    assert refused(world, linux(steps=[JSON])) == message


def test_an_address_from_an_index(world: World) -> None:
    site = world.host(HOST)
    site.put(f"/{NAME}", image("new"))
    site.put("/index.json", index(url=f"{BASE}/{NAME}"))
    assert ask(world, linux(steps=[JSON])).url == f"{BASE}/{NAME}"
    site.put("/index.json", b'{"a": [}')
    assert refused(world, linux(steps=[JSON])).startswith(f"{BASE}/index.json: is no JSON document, or was cut off: ")
    site.put("/index.json", b"a: [")
    message = refused(world, linux(steps=[{**JSON, "syntax": "yaml"}]))
    assert message.startswith(f"{BASE}/index.json: not valid YAML")
    site.put("/index.json", b"- &a [*a]\n")
    assert "alias stands within" in refused(world, linux(steps=[{**JSON, "syntax": "yaml"}]))
    site.put("/index.json", b"a: 1\na: 2\n")
    assert "'a' stands here a second time" in refused(world, linux(steps=[{**JSON, "syntax": "yaml"}]))
    site.put("/index.json", b"")
    assert "the document is empty" in refused(world, linux(steps=[{**JSON, "syntax": "yaml"}]))


def test_redirects_to_storage_that_expires_are_never_recorded(world: World) -> None:
    target = world.host("storage.example.org").put("/blob", image("new"))
    put(world, {NAME: image("new")})
    world.host(HOST).on(f"/{NAME}", Switches(redirect=(302, f"{target}?X-Amz-Signature=secret")))
    build = ask(world, linux())
    assert build.url == f"{BASE}/{NAME}"
    assert "secret" not in str(build)
    step = {"pointer": f"{BASE}/latest", "redirect": r".*/linux-(?P<version>\d+)\.qcow2"}
    world.host(HOST).on("/latest", Switches(redirect=(302, f"/{NAME}")))
    build = ask(world, linux(steps=[step], url=f"{BASE}/linux-{{version}}.qcow2"))
    assert (build.version, build.url) == ("20260701", f"{BASE}/{NAME}")


def test_pointers_that_point_nowhere(world: World) -> None:
    site = world.host(HOST)
    site.put("/last", b"nothing yet\n")
    url = f"{BASE}/{NAME}"
    for step in (
        {"pointer": f"{BASE}/last", "match": r"(?P<version>\d+)"},
        {"pointer": f"{BASE}/last", "redirect": r".*/(?P<version>\d+)/"},
    ):
        assert refused(world, linux(steps=[step], url=url), NothingFoundError) == f"{BASE}/last: nothing that fits"
    step = {"pointer": f"{BASE}/last", "keys": {"version": "VERSION"}}
    assert refused(world, linux(steps=[step], url=url)) == f"{BASE}/last: has no value of VERSION"
    step = {"pointer": f"{BASE}/gone", "redirect": "(?P<version>.*)"}
    assert "404" in refused(world, linux(steps=[step], url=url), FetchError)


def test_static_builds(world: World) -> None:
    world.host(HOST).put(f"/{NAME}", image("new"))
    entry = {"version": "1", "checksum": digest(image("new")), "size": "2000"}
    resolve = {"steps": [{"static": [entry, {"version": "0.9"}]}], "url": f"{BASE}/{NAME}"}
    build = ask(world, linux(**resolve))
    assert (build.version, build.checksum and build.checksum.digest, build.size) == ("1", entry["checksum"], 2000)
    wrong = {"steps": [{"static": {**entry, "checksum": "x"}}], "url": f"{BASE}/{NAME}"}
    assert "is not a hexadecimal digest" in refused(world, linux(**wrong))
    nothing = {"steps": [{"static": entry}], "url": f"{BASE}/{NAME}", "exclude": "1"}
    assert (
        refused(world, linux(**nothing), NothingFoundError)
        == "static: only builds that do not count (pre-releases, `latest`, what exclude names)"
    )


def test_releases_at_github(world: World) -> None:
    api, site = world.host("api.github.com"), world.host(HOST)
    path = "/repos/me/linux/releases?per_page=100"
    rows = [
        upstreams.release("v1", "2026-01-01", {NAME: image("new")}, BASE, digests=False),
        upstreams.release("nightly", "2026-02-01", {NAME: image("nightly")}, BASE),
        upstreams.release("v2-rc1", "2026-02-01", {NAME: image("rc")}, BASE, prerelease=True),
    ]
    api.on(path, Switches(html=json.dumps(rows)))
    for tag in ("v1", "v2-rc1"):
        site.put(f"/{tag}/{NAME}", image("new"))
    step = {"github-release": "me/linux", "tag": "v(?P<number>.*)", "match": r"linux-\d+\.qcow2"}
    build = ask(world, linux(steps=[step], version="{number}", build_date="{published}"))
    assert (build.version, build.url, build.build_date) == ("1", f"{BASE}/v1/{NAME}", "2026-01-01")
    assert (build.checksum, build.checksums_url, build.size) == (None, None, 2000)
    api.on(path, Switches(html=json.dumps(rows).replace(digest(image("rc")), digest(image("new")))))
    assert ask(world, linux(steps=[step], version="{number}", prereleases=True)).version == "2-rc1"
    api.on(path, Switches(status=403))
    assert "403" in refused(world, linux(steps=[step], version="{number}"), FetchError)
    api.on(path, Switches(html=json.dumps({"message": "API rate limit exceeded"})))
    assert "the answer is a mapping where a list is expected" in refused(world, linux(steps=[step], version="{number}"))


@pytest.mark.parametrize(
    ("wanted", "kind", "message"),
    [
        (definition("unheard-of", "1"), UsageError, "nothing tells where newer builds are found; add resolve, or "),
        (
            definition("rocky", "7"),
            Error,
            "no key is known for os_version '7', only for 8, 9, 10; set it below resolve",
        ),
        (
            definition("debian", None),
            Error,
            "{os_version} stands for meta.os_version, which the definition has not; add it",
        ),
        (
            definition("x", "1", resolve={"steps": [{"static": {"version": "1"}}], "url": "{nothing}"}),
            Error,
            "resolve.url: nothing is known here that {nothing} could stand for",
        ),
        (definition("x", "1", resolve="rockyy"), Error, "no resolver is called 'rockyy'; did you mean 'rocky'?"),
    ],
)
def test_definitions_that_can_t_be_asked_about(
    world: World, wanted: Definition, kind: type[Error], message: str
) -> None:
    assert message in refused(world, wanted, kind)
    assert can_be_asked(wanted) == (kind is Error)


def test_one_that_fails_stops_no_other(world: World) -> None:
    put(world, {NAME: image("new")})
    broken = linux(steps=[{**LISTING, "listing": f"{BASE}/gone/"}])
    answers = check_all([broken, linux(), definition("unheard-of", "1")], Sites(mirrors=world.mirrors), verify)
    assert [wanted.name for wanted, _ in answers] == ["linux 1", "linux 1", "unheard-of 1"]
    first, second, third = (answer for _, answer in answers)
    assert isinstance(first, FetchError)
    assert first.status == 404
    assert isinstance(second, Build)
    assert isinstance(third, UsageError)
    assert check_all([], Sites(), verify) == []


def test_interrupted(world: World) -> None:
    stop = threading.Event()
    stop.set()
    put(world, {NAME: image("new")})
    answers = check_all([linux(), linux()], Sites(mirrors=world.mirrors, stop=stop), verify)
    assert [type(answer) for _, answer in answers] == [Interrupted] * 2


def test_a_mistake_of_the_program_is_not_taken_for_a_site_that_fails(world: World) -> None:
    put(world, {NAME: image("new")})
    world.host(HOST).put("/SUMS.asc", b"x")

    def broken(wanted: Signature, data: bytes, fetch: Fetch) -> tuple[bytes, str | None, str | None]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check_all([linux(signature=DETACHED)], Sites(mirrors=world.mirrors), broken)


@pytest.mark.timeout(60)
def test_all_hosts_are_asked_at_the_same_time(world: World) -> None:
    """No host answers before each of them was asked."""
    hosts = [f"{number}.example.org" for number in range(20)]
    gate = Gate(len(hosts))
    wanted = []
    for host in hosts:
        site = world.host(host)
        site.put(f"/{NAME}", image("new"))
        site.put("/SUMS", coreutils({NAME: image("new")}).encode())
        site.on("/SUMS", Switches(gate=gate))
        step = {"checksum-file": f"https://{host}/SUMS", "match": r"linux-(?P<version>\d+)\.qcow2"}
        wanted.append(linux(steps=[step]))
    answers = check_all(wanted, Sites(mirrors=world.mirrors), verify)
    assert all(isinstance(answer, Build) for _, answer in answers)
    assert gate.opened


@pytest.mark.timeout(60)
def test_a_host_is_asked_by_four_at_a_time(world: World) -> None:
    site = world.host(HOST)
    gate = Gate(4)
    wanted = []
    for number in range(12):
        site.put(f"/{number}/{NAME}", image("new"))
        site.put(f"/{number}/SUMS", coreutils({NAME: image("new")}).encode())
        site.on(f"/{number}/SUMS", Switches(gate=gate))
        step = {"checksum-file": f"{BASE}/{number}/SUMS", "match": r"linux-(?P<version>\d+)\.qcow2"}
        wanted.append(linux(steps=[step]))
    answers = check_all(wanted, Sites(mirrors=world.mirrors), verify)
    assert all(isinstance(answer, Build) for _, answer in answers)
    assert gate.opened
    assert site.busiest == 4


ALIAS = "linux-latest.qcow2"


def moving(url: str = f"{BASE}/{ALIAS}", sums: str = f"{BASE}/SUMS", *versions: dict[str, Any]) -> Definition:
    return definition("x", "1", latest_url=url, latest_checksum_url=sums, versions=list(versions))


def test_a_lasting_name_is_one_of_the_same_bytes(world: World) -> None:
    """Never the newest one: the alias may lag behind, or be another image altogether."""
    old, new = "linux-20260601.qcow2", "linux-20260701.0.qcow2"
    put(
        world, {old: image("a"), new: image("b"), ALIAS: image("a"), "linux.qcow2": image("a"), "x-1.5.img": image("a")}
    )
    build = ask(world, moving())
    assert (build.version, build.url, build.build_date) == ("20260601", f"{BASE}/{old}", "2026-06-01")
    # It is pruned already: the moving address with its digest, as a build of the day on which it was changed.
    (world.host(HOST).directory / old).unlink()
    build = ask(world, moving())
    assert build.url == f"{BASE}/{ALIAS}"
    assert build.build_date
    assert build.version == build.build_date[:10].replace("-", "")
    assert build.checksum
    assert build.checksum.digest == digest(image("a"))
    (world.host(HOST).directory / ALIAS).unlink()
    assert refused(world, moving(), FetchError) == f"{BASE}/{ALIAS}: is not there"


def test_a_moving_address_without_a_date(world: World) -> None:
    put(world, {ALIAS: image("a")}, text=coreutils({ALIAS: image("a")}))
    world.host(HOST).on(f"/{ALIAS}", Switches(bare=True))
    build = ask(world, moving())
    assert build.build_date == f"{build.version[:4]}-{build.version[4:6]}-{build.version[6:]}"


def test_a_moving_checksum_file_that_does_not_fit(world: World) -> None:
    put(world, {"else.qcow2": image("a"), "more.qcow2": image("b"), ALIAS: image("c")}, text="")
    put(world, {}, text=coreutils({"else.qcow2": image("a"), "more.qcow2": image("b")}))
    assert refused(world, moving()) == f"{BASE}/SUMS: the checksum file has no digest of {ALIAS}"
    put(world, {}, text=bsd({ALIAS: image("c", 3000)}))
    assert refused(world, moving()) == f"{BASE}/{ALIAS}: has 2000 bytes, {BASE}/SUMS says 3000"
    assert world.host(HOST).count("/SUMS") == 4
    world.host(HOST).on(f"/{ALIAS}", Switches(status=403))
    assert "403" in refused(world, moving(), FetchError)


def test_directories_beside_the_one_that_moves(world: World) -> None:
    site = world.host(HOST)
    folders = ["20260601", "release-20260602", "20260603", "20260604", "20260605", "trash"]
    site.on("/x/", Switches(html=pre_listing([f"{name}/" for name in folders])))
    put(world, {"x/current/a.img": image("a")}, "/x/current/SUMS", coreutils({"a.img": image("a")}))
    put(world, {"x/20260603/a.img": image("a")}, "/x/20260603/SUMS", coreutils({"a.img": image("a")}))
    put(world, {"x/20260605/a.img": image("b")}, "/x/20260605/SUMS", coreutils({"a.img": image("b")}))
    url, sums = f"{BASE}/x/current/a.img", f"{BASE}/x/current/SUMS"
    assert ask(world, moving(url, sums)).url == f"{BASE}/x/20260603/a.img"
    # What is older than the three newest is not looked for.
    (site.directory / "x" / "20260603" / "SUMS").unlink()
    assert ask(world, moving(url, sums)).url == url
    site.on("/x/20260604/SUMS", Switches(status=403))
    assert "403" in refused(world, moving(url, sums), FetchError)
    # Not every site shows its directories, but one that is cut off is no site without builds.
    site.on("/x/20260604/SUMS", Switches())
    put(world, {}, "/x/20260604/SUMS", coreutils({"a.img": b"1"}) + coreutils({"a.img": b"2"}))
    assert refused(world, moving(url, sums)).startswith(f"{BASE}/x/20260604/SUMS: the checksum file has two different")
    listing = pre_listing(["20260603/"])
    site.on("/x/", Switches(html=listing[:-10]))
    assert refused(world, moving(url, sums)) == f"{BASE}/x/: the listing is cut off in a tag"
    site.on("/x/", Switches(status=403))
    assert ask(world, moving(url, sums)).url == url
    site.on("/x/", Switches(status=400))
    assert "400" in refused(world, moving(url, sums), FetchError)
    # A checksum file of another place tells nothing about these directories.
    put(world, {}, "/SUMS", coreutils({"a.img": image("a")}))
    assert ask(world, moving(url, f"{BASE}/SUMS")).url == url


def test_a_bare_digest_beside_the_image(world: World) -> None:
    site = world.host(HOST)
    site.on("/x/", Switches(html=pre_listing(["1.2.3/", "1.2.4/"])))
    bare = f"{digest(image('a'), 'sha512')}\n".encode()
    for folder in ("latest", "1.2.4"):
        site.put(f"/x/{folder}/a.img", image("a"))
        site.put(f"/x/{folder}/a.img.sha512", bare)
    build = ask(world, moving(f"{BASE}/x/latest/a.img", f"{BASE}/x/latest/a.img.sha512"))
    assert (build.version, build.url) == ("1.2.4", f"{BASE}/x/1.2.4/a.img")


def test_a_moving_address_never_leads_back(world: World) -> None:
    put(world, {"linux-20260601.qcow2": image("a"), ALIAS: image("a")})
    later = {"version": "20260701", "url": f"{BASE}/1"}
    assert "is older than 20260701" in refused(world, moving(f"{BASE}/{ALIAS}", f"{BASE}/SUMS", later), Error)


def test_answers_that_take_their_time_are_waited_for_together(tmp_path: Path) -> None:
    """The whole catalogue takes about as long as its longest way, although every answer takes 100 ms."""
    with World(tmp_path / "world") as world:
        for publish in upstreams.ALL:
            publish(world)
        for site in world.sites.values():
            site.latency = 0.1
        wanted = [each for each, _ in NEWEST.values()]
        begin = time.monotonic()
        answers = check_all(wanted, Sites(mirrors=world.mirrors), verify)
        took = time.monotonic() - begin
        requests = sum(len(site.requests) for site in world.sites.values())
    assert all(isinstance(answer, Build) for _, answer in answers)
    # One after the other they would take longer than this by far; how much faster it is depends on the machine.
    assert took < requests * 0.1 / 2


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
            build = newest(linux(**resolve), Sites(), verify)
        except Error as error:
            message = str(error)
        else:
            message = "a build"
            assert build.url.startswith("file:")
            # A size that is not that of the file is never let through.
            assert build.size in (None, 2000)
        assert message.isprintable(), message
