"""`update` with definitions of people who are not trusted: what they reach, and how much of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.bench import Outcome, run_main
from tests.support.distribution import Distribution
from tests.support.documents import image, pre_listing
from tests.support.linux_site import BASE, HOST, KEY, linux, moving, put, refused
from tests.support.site import Switches, TestSite
from tests.support.upstreams import World, ask

from openstack_image_manager.definitions.resolvers import limits
from openstack_image_manager.errors import Error, FetchError
from openstack_image_manager.upstreams.budget import REQUESTS, UpstreamClient
from openstack_image_manager.upstreams.resolve import NothingFoundError
from openstack_image_manager.upstreams.sites import Sites

CLOUDS = "clouds: {prod: {auth: {username: admin, password: geheim}}}\n"
OPTION, VARIABLE = "--allow-local-files", "OPENSTACK_IMAGE_MANAGER_ALLOW_LOCAL_FILES"


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """The address of a file of this machine that must not leave it."""
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    return (tmp_path / "clouds.yaml").as_uri()


def resolving(distribution: Distribution, resolve: dict[str, Any], *options: str, **environment: str) -> Outcome:
    """What `update` says to a definition of that `resolve`."""
    fields = {"name": "S", "format": "qcow2", "resolve": resolve, "versions": []}
    (distribution.images / "a.yml").write_text(json.dumps({"images": [fields]}))
    return run_main(
        ["update", "--images", str(distribution.images), "--no-cache", *options],
        {"PATH": "/usr/bin:/bin", "HOME": str(distribution.folder), "NO_COLOR": "1", **environment},
    )


def stealing() -> list[dict[str, Any]]:
    """Ways to tell a site what is in a local file: in an address, and by which addresses are asked. Variables hide
    from `validate` what is local."""
    auth = {
        "json": "{local}",
        "syntax": "yaml",
        "items": "clouds.prod.auth",
        "fields": {"version": "username", "secret": "password"},
    }
    told = {"listing": "{web}/list/", "match": "(?P<letter>[a-z])-{secret}/"}
    guessed = {"pointer": "{local}", "match": ".*password: {letter}eheim.*(?P<version>)"}
    guesses = {"listing": "{web}/guesses/", "match": "(?P<letter>[a-z])/"}
    return [
        {"steps": [auth], "url": "{web}/{version}/{secret}"},
        {"steps": [auth, {"pointer": "{web}/{secret}", "match": "(?P<version>.*)"}], "url": "{web}/x"},
        {"steps": [auth, told, {"listing": "{web}/{letter}/", "match": "(?P<version>.*)"}]},
        # No part of an address, but the second guess would be asked about because the first one is wrong.
        {
            "steps": [
                guesses,
                {"listing": "{web}/{letter}/", "match": "(?P<version>[0-9])"},
                guessed,
            ],
            "url": "{web}/{letter}.img",
        },
        {"steps": [auth], "url": "{local}", "checksum": {"url": "{web}/{secret}"}},
    ]


@pytest.mark.parametrize("way", range(5))
@pytest.mark.parametrize("options", [(), (OPTION,)])
def test_what_is_in_a_local_file_never_leaves_this_machine(
    distribution: Distribution, secret: str, way: int, options: tuple[str, ...]
) -> None:
    site = distribution.site
    site.on("/list/", Switches(html=pre_listing(["g-geheim/"])))
    site.on("/guesses/", Switches(html=pre_listing([f"{letter}/" for letter in "gxyz"])))
    for letter in "gxyz":
        site.on(f"/{letter}/", Switches(html=pre_listing(["1"])))
    variables = {"web": site.url, "local": secret}
    outcome = resolving(distribution, {"variables": variables, **stealing()[way]}, *options)
    assert outcome.code == 1
    asked = [request.path for request in site.requests]
    assert not [path for path in asked if "geheim" in path or "admin" in path]
    if options:
        assert "is not requested, because a local file was read before" in outcome.out, outcome
    else:
        expected = f"{secret} is a local file, which resolvers read only with {OPTION}"
        assert expected in outcome.out, outcome
    # Of the guesses one is asked about, whichever is right.
    assert asked in ([], ["/guesses/", "/z/"])


def test_local_files_are_read_where_the_operator_allows_it(distribution: Distribution) -> None:
    folder = distribution.folder / "own"
    folder.mkdir()
    (folder / "20260101.qcow2").write_bytes(image("one"))
    (folder / "last").write_text("20260101\n")
    step = {"pointer": (folder / "last").as_uri(), "match": "(?P<version>[0-9]+)"}
    resolve = {"steps": [step], "url": f"{folder.as_uri()}/{{version}}.qcow2"}
    assert resolving(distribution, resolve).code == 1
    assert resolving(distribution, resolve, **{VARIABLE: "0"}).code == 1
    for options, environment in (((OPTION,), {}), ((), {VARIABLE: "1"})):
        outcome = resolving(distribution, resolve, *options, **environment)
        assert (outcome.code, "S: nothing → 20260101" in outcome.out) == (0, True), outcome
    web = {"pointer": distribution.site.put("/last", b"20260101\n"), "match": "(?P<version>[0-9]+)"}
    assert resolving(distribution, {**resolve, "steps": [web]}, OPTION).code == 0
    assert "is a local file" in resolving(distribution, {**resolve, "steps": [web]}).out


def test_moving_addresses_and_signatures_are_no_way_round(world: World, secret: str) -> None:
    message = f"{secret} is a local file, which resolvers read only with {OPTION}"
    assert refused(world, moving(secret, secret), Error) == message
    assert refused(world, moving(f"{BASE}/x", secret), Error) == message
    put(world, {"linux-1.qcow2": image("new")})
    assert refused(world, linux(checksum={"url": secret}), Error) == message
    for over, subject, allowed in (("image", "linux-1.qcow2", True), ("checksum", "SUMS", False)):
        rule = {"kind": "detached", "over": over, "url": secret, "keys": KEY}
        assert refused(world, linux(signature=rule), Error, local_files=allowed) == (
            f"{BASE}/{subject}: its signature is a local file, but a file on the web needs a signature on the web"
        )


def test_local_files_that_contradict_each_other_are_read_once(world: World, tmp_path: Path) -> None:
    """The web was asked before: to ask it again would tell it what is in them."""
    local = tmp_path / "linux-1.qcow2"
    local.write_bytes(b"no image")
    site = world.host(HOST)
    site.put("/last", b"1\n")
    step = {"pointer": f"{BASE}/last", "match": "(?P<version>.)"}
    wanted = linux(steps=[step], url=local.as_uri())
    assert "does not begin like a qcow2 image" in refused(world, wanted, local_files=True)
    assert site.count("/last") == 1
    local.write_bytes(image("new"))
    checksum = {"url": f"{BASE}/SUMS"}
    put(world, {"linux-1.qcow2": image("new")})
    versions = {"version": "1", "url": local.as_uri(), "checksum": "sha512:" + "0" * 128}
    before = len(site.requests)
    assert (
        ask(world, linux(versions, steps=[step], url=local.as_uri(), checksum=checksum), local_files=True).size == 2000
    )
    assert [request.path for request in site.requests[before:]] == ["/last", "/SUMS"]  # and no SHA512SUMS


def test_a_mirror_of_the_operator_does_not_reach_other_files(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "secret").write_text("geheim")
    (tmp_path / "mirror" / "a").write_text("public")
    sites = Sites(mirrors={"https://x/": (tmp_path / "mirror").as_uri()})
    assert sites.document("https://x/a").data == b"public"
    for path in ("../secret", "%2e%2e/secret", "a/..%2f../secret"):
        with pytest.raises(FetchError, match=f"^https://x/{path}: points outside https://x, the part that file:"):
            sites.document(f"https://x/{path}")
    (tmp_path / "mirror" / "a..").write_text("dots")
    assert sites.document("https://x/a..").data == b"dots"


def test_credentials_of_the_user_go_nowhere(site: TestSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokens of forges often stand in ~/.netrc, and an address in a definition can be one of the forge's API."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ci password geheim\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    url = site.put("/a", b"x")
    assert Sites().document(url).data == b"x"
    assert Sites().document(url.replace("//", "//user:pw@")).data == b"x"
    told = [request.headers.get("authorization") for request in site.requests]
    assert told == [None, "Basic " + base64.b64encode(b"user:pw").decode()]


def tree(world: World, steps: int) -> dict[str, Any]:
    """Three ways at each step, and nothing at the end of any."""
    entries = [{f"a{index}": str(number)} for index in range(steps) for number in range(3)]
    groups = [entries[3 * index : 3 * index + 3] for index in range(steps)]
    last = {"pointer": f"{BASE}/" + "".join(f"{{a{index}}}" for index in range(steps)), "match": "(?P<version>.*)"}
    return {"steps": [*({"static": group} for group in groups), last], "url": f"{BASE}/x"}


def test_steps_whose_ways_multiply_are_stopped(world: World) -> None:
    assert "404" in refused(world, linux(**tree(world, 2)), NothingFoundError)
    assert len(world.host(HOST).requests) == 9
    message = refused(world, linux(**tree(world, 9)), Error)
    assert message == (
        f"stopped after {REQUESTS} steps and requests without a build; narrow match, so that fewer ways are tried"
    )
    assert len(world.host(HOST).requests) <= 9 + REQUESTS


def test_a_look_has_an_end() -> None:
    look = UpstreamClient(Sites(), seconds=-1)
    with pytest.raises(Error, match="stopped after -1 seconds without a build; a site is slow"):
        look.document(f"{BASE}/x")


def test_what_a_site_may_say(world: World) -> None:
    site = world.host(HOST)
    listing = {"listing": f"{BASE}/list/", "match": "(?P<version>.*)"}
    site.on("/list/", Switches(html=pre_listing([f"{number}" for number in range(limits.BUILDS + 1)])))
    assert refused(world, linux(steps=[listing])) == f"{BASE}/list/: more than 10000 builds fit; narrow match"
    site.on("/list/", Switches(html=pre_listing(["9" * 256])))
    assert "its version has 256 characters; at most 255 are allowed" in refused(world, linux(steps=[listing]))
    pointer = {"pointer": f"{BASE}/last", "match": "(?P<version>.)+"}
    site.put("/last", b"x" * limits.LINE)
    assert refused(world, linux(steps=[pointer], url=f"{BASE}/x")) == (
        f"{BASE}/last: gives 16385 characters for one build, at most 16384 can be"
    )
    site.put("/last", b"x" * (limits.LINE + 1))
    assert refused(world, linux(steps=[pointer], url=f"{BASE}/x")) == (
        f"{BASE}/last: has a name or line of 16385 characters; at most 16384 are allowed"
    )
    site.put("/last", b"x" * 5000)
    step = {"pointer": f"{BASE}/last", "match": "(?P<version>.*)"}
    message = refused(world, linux(steps=[step], url=f"{BASE}/{{version}}"), Error)
    assert message == f"'{BASE}/{{version}}' is longer than 4096 characters with its values"
    for project in ("a/b/../../user", "a/..", "a", "a/b?x=y", "../user"):
        site.put("/last", project.encode())
        steps = [
            {"pointer": f"{BASE}/last", "match": "(?P<p>.*)"},
            {"github-release": "{p}", "match": "(?P<version>x)"},
        ]
        assert refused(world, linux(steps=steps)) == f"{project.partition('?')[0]}: is not OWNER/PROJECT"


def test_variables_that_multiply_are_refused(distribution: Distribution) -> None:
    tenfold = {f"a{number}": f"{{a{number - 1}}}" * 10 for number in range(1, 9)}
    resolve = {"variables": {"a0": "0123456789", **tenfold}, "steps": [{"static": {"version": "{a8}"}}]}
    outcome = resolving(distribution, {**resolve, "url": "http://h/{version}"})
    assert outcome.code == 1
    assert ": S: resolve.variables.a3: '{a2}{a2}" in outcome.err
    assert "is longer than 4096 characters with its values" in outcome.err


def test_documents_of_a_run_do_not_pile_up(site: TestSite) -> None:
    sites = Sites(kept=2500)
    urls = [site.put(f"/{number}", bytes([65 + number]) * 1000) for number in range(3)]
    for url in (*urls, urls[2], urls[1], urls[0]):
        assert len(sites.document(url).data) == 1000
    assert [site.count(f"/{number}") for number in range(3)] == [2, 1, 1]
    sites.document(urls[2], fresh=True)
    assert len(sites.document(urls[2]).data) == 1000
    assert site.count("/2") == 2
