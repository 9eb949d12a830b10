"""The ways to builds: indexes, pointers, static builds, releases at GitHub, and which addresses they may lead to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.documents import digest, image, release
from tests.support.linux_site import BASE, HOST, NAME, linux, put, refused
from tests.support.site import Switches
from tests.support.upstreams import World, ask, definition

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.resolvers.shipped import has_upstream
from openstack_image_manager.definitions.resolvers.variables import VariableError
from openstack_image_manager.errors import Error, FetchError, UsageError
from openstack_image_manager.upstreams.resolve import NothingFoundError


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
        ("gopher://x/y", "'gopher://x/y' is not a valid image URL"),
        (f"{BASE}/a b", f"'{BASE}/a b' is not a valid image URL"),
        ("https://[x/a", "'https://[x/a' is not a valid image URL"),
        ("https:///a", "'https:///a' is not a valid image URL"),
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
    assert refused(world, linux(steps=[JSON])).startswith(f"{BASE}/index.json: is not valid JSON, or was cut off: ")
    site.put("/index.json", b"a: [")
    message = refused(world, linux(steps=[{**JSON, "syntax": "yaml"}]))
    assert message.startswith(f"{BASE}/index.json: not valid YAML")
    site.put("/index.json", b"- &a [*a]\n")
    assert "alias refers to a mapping or list" in refused(world, linux(steps=[{**JSON, "syntax": "yaml"}]))
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
        assert refused(world, linux(steps=[step], url=url), NothingFoundError) == f"{BASE}/last: nothing matches"
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
        == "static: only builds that are never taken (pre-releases, `latest`, and what exclude matches)"
    )


def test_releases_at_github(world: World) -> None:
    api, site = world.host("api.github.com"), world.host(HOST)
    path = "/repos/me/linux/releases?per_page=100"
    rows = [
        release("v1", "2026-01-01", {NAME: image("new")}, BASE, digests=False),
        release("nightly", "2026-02-01", {NAME: image("nightly")}, BASE),
        release("v2-rc1", "2026-02-01", {NAME: image("rc")}, BASE, prerelease=True),
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
        (definition("unheard-of", "1"), UsageError, "no upstream is known; add resolve, or "),
        (
            definition("rocky", "7"),
            VariableError,
            "no key is known for os_version '7', only for 8, 9, 10; set it below resolve",
        ),
        (
            definition("debian", None),
            Error,
            "{os_version} is meta.os_version, which the definition does not have; add it",
        ),
        (
            definition("x", "1", resolve={"steps": [{"static": {"version": "1"}}], "url": "{nothing}"}),
            Error,
            "resolve.url: {nothing} is unknown here",
        ),
        (definition("x", "1", resolve="rockyy"), Error, "no resolver is called 'rockyy'; did you mean 'rocky'?"),
    ],
)
def test_definitions_that_can_t_be_asked_about(
    world: World, wanted: Definition, kind: type[Error], message: str
) -> None:
    assert message in refused(world, wanted, kind)
    assert has_upstream(wanted) == (kind is not UsageError)
