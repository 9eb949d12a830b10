"""Answers of Glance are believed only if they can be its own; a listing has each image once, whatever moves."""

from __future__ import annotations

import json
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.bench import CLOSED, Bench, elsewhere
from tests.support.proxy import Proxy, Rule

from openstack_image_manager.apply import stored_data
from openstack_image_manager.cloud import members
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.cloud.session import log_in
from openstack_image_manager.errors import CloudError, Interrupted
from openstack_image_manager.model import FieldChange
from openstack_image_manager.sandbox import Sandbox
from openstack_image_manager.sandbox.site import serving

LISTING = ("GET", "/v2/images")
HTML = "<html>welcome</html>"
OTHER = '{"id": "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f", "status": "active", "visibility": "public"}'


@pytest.fixture
def glance(proxied_clouds: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Glance]:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(proxied_clouds))
    with closing(Glance.connect("openstack")) as connected:
        yield connected


def one(bench: Bench, **fields: Any) -> str:
    """A small image by hand; its id."""
    return bench.make(b"x" * 512, **{"name": "one", "image_name": "one", "disk_format": "raw", **fields})


def hide(bench: Bench, image_id: str, value: bool) -> None:
    (image,) = [image for image in bench.images() if image.id == image_id]
    bench.patch(image, {"op": "replace", "path": "/os_hidden", "value": value})


@pytest.mark.parametrize("hidden", [False, True], ids=["in both lists", "in neither"])
def test_an_image_that_is_hidden_or_shown_during_the_listing_is_there_once(
    watched: Bench, proxy: Proxy, glance: Glance, hidden: bool
) -> None:
    image_id = one(watched, os_hidden=hidden)
    seen = threading.Event()
    proxy.add(Rule(*LISTING, query=".*os_hidden=false.*", after=seen.set))

    def move() -> None:
        assert seen.wait(20)
        hide(watched, image_id, not hidden)

    proxy.add(Rule(*LISTING, query=".*os_hidden=true.*", before=move))
    assert [(image.id, image.hidden) for image in glance.list(watched.tag)] == [(image_id, not hidden)]
    assert proxy.count(*LISTING) <= 6


def test_nothing_that_changes_costs_one_small_question_more(watched: Bench, proxy: Proxy, glance: Glance) -> None:
    assert glance.list(watched.tag) == []
    assert proxy.count(*LISTING) == 4


def test_images_that_never_stand_still(watched: Bench, proxy: Proxy, glance: Glance) -> None:
    image_id, number = one(watched), iter(range(100))

    def change() -> None:
        (image,) = watched.images()
        watched.patch(image, {"op": "replace", "path": "/min_ram", "value": next(number)})

    proxy.add(Rule(*LISTING, query=".*os_hidden=false.*", times=None, before=change))
    with pytest.raises(CloudError, match="cloud 'openstack': its images change faster than they can be listed"):
        glance.list(watched.tag)
    assert image_id in {image.id for image in watched.images()}
    assert proxy.count(*LISTING) == 10
    # A busy project always changes some image; what only describes images takes them as they were seen.
    assert image_id in {image.id for image in glance.list(None)}


def test_all_images_of_a_definition(watched: Bench, proxy: Proxy, glance: Glance) -> None:
    name = watched.tag
    ids = {one(watched, image_name=name, os_hidden=hidden) for hidden in (False, True)}
    one(watched, image_name=f"{name} 2")
    untagged = one(watched, image_name=name, tags=[])
    moving = next(image.id for image in watched.images() if image.hidden)
    proxy.add(Rule(*LISTING, query=".*os_hidden=true.*", before=lambda: hide(watched, moving, False)))
    found = glance.of_definition(watched.tag, name)
    glance.delete(untagged)
    assert sorted(image.id for image in found) == sorted({*ids, untagged})


def page(**fields: Any) -> Callable[[bytes], bytes]:
    """Change the listing's page."""
    return lambda body: json.dumps({**json.loads(body), **fields}).encode()


def image(**fields: Any) -> Callable[[bytes], bytes]:
    """Change the images of the listing's page."""

    def changed(body: bytes) -> bytes:
        data = json.loads(body)
        return json.dumps({**data, "images": [{**each, **fields} for each in data["images"]]}).encode()

    return changed


ODD_PAGES = {
    "null": page(images=None),
    "no fields": page(images=[{}]),
    "nested": lambda _: b'{"images": ' + b"[" * 100_000,
    "too many": page(images=[{"id": str(i)} for i in range(1001)]),
    "path as id": image(id="../../v3/users"),
    "size": image(size="many"),
    "next elsewhere": page(next="http://127.0.0.1:9/v2/images?marker=x"),
    "next itself": page(next="/v2/images?marker="),
}


@pytest.mark.parametrize("odd", ODD_PAGES)
def test_a_listing_that_is_none_ends_the_run_before_it_does_anything(watched: Bench, proxy: Proxy, odd: str) -> None:
    watched.define(watched.ubuntu("1"))
    one(watched)
    before = watched.images()
    proxy.add(Rule(*LISTING, times=None, alter=ODD_PAGES[odd]))
    outcome = watched.run()
    assert outcome.code == 1, outcome.text
    assert "error: cloud 'openstack': " in outcome.err
    assert "as Glance" in outcome.err
    assert "Traceback" not in outcome.text
    assert watched.images() == before


def test_pages_in_a_circle(watched: Bench, proxy: Proxy, glance: Glance) -> None:
    image_id = one(watched)
    proxy.add(Rule(*LISTING, times=None, alter=page(next=f"/v2/images?marker={image_id}&tag={watched.tag}")))
    with pytest.raises(CloudError, match="its pages never end"):
        glance.list(watched.tag)
    assert proxy.count(*LISTING) <= 6


def served(proxy: Proxy, *pages: tuple[str, str]) -> None:
    """Answer the next listings with pages of one image each: its id, and the marker of the page that follows."""
    for image_id, marker in pages:
        data = {"images": [{"id": image_id}], **({"next": f"/v2/images?marker={marker}"} if marker else {})}
        proxy.add(Rule(*LISTING, status=200, body=json.dumps(data)))


def ids_of(number: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(number)]


def test_a_listing_has_a_most_of_pages(proxy: Proxy, proxied_clouds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page has a new image and a new marker."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(proxied_clouds))
    ids = ids_of(9)
    with closing(Glance(*log_in("openstack"), "openstack", most_pages=3)) as glance:
        served(proxy, (ids[0], ids[0]), (ids[1], ids[1]), (ids[2], ""))
        assert [each["id"] for each in glance.pages({})] == ids[:3]
        proxy.clear()
        served(proxy, *zip(ids[:-1], ids[:-1], strict=True), (ids[-1], ""))
        with pytest.raises(CloudError, match=r"cloud 'openstack': .*its pages never end"):
            list(glance.pages({}))
        assert proxy.count(*LISTING) == 3


@pytest.mark.parametrize(("images", "markers"), [("abc", "xx"), ("aab", "xy")], ids=["marker", "image"])
def test_pages_that_come_again(proxy: Proxy, glance: Glance, images: str, markers: str) -> None:
    """Either the marker is an old one and the image is new, or the other way round."""
    named = dict(zip("abcxy", ids_of(5), strict=True))
    following = [*(named[letter] for letter in markers), ""]
    served(proxy, *zip((named[letter] for letter in images), following, strict=True))
    with pytest.raises(CloudError, match=r"cloud 'openstack': .*its pages never end"):
        list(glance.pages({}))
    assert proxy.count(*LISTING) == 2


def test_images_that_are_on_a_page_twice(watched: Bench, proxy: Proxy) -> None:
    """Neither is a duplicate of the other."""
    watched.define(watched.ubuntu("1", "2"))
    assert watched.run().code == 0
    before = watched.images()

    def doubled(body: bytes) -> bytes:
        data = json.loads(body)
        return json.dumps({**data, "images": [each for each in data["images"] for _ in range(2)]}).encode()

    rule = proxy.add(Rule(*LISTING, times=None, alter=doubled))
    outcome = watched.run("plan", "--exit-code", "--outdated", "delete", "--unknown-usage", "delete")
    assert (outcome.code, "no changes" in outcome.out) == (0, True), outcome.text
    outcome = watched.run("--outdated", "delete", "--unknown-usage", "delete")
    assert outcome.code == 0, outcome.text
    assert rule.seen >= 4
    assert watched.images() == before


@pytest.mark.parametrize("path", ["/v2/images", "/v2/info/import"])
def test_no_token_follows_a_redirect(watched: Bench, proxy: Proxy, path: str) -> None:
    with serving(Proxy(CLOSED)) as other:
        other.add(Rule(times=None, status=200, body='{"images": []}'))
        watched.define(watched.ubuntu("1"))
        proxy.add(Rule("GET", path, times=None, status=302, headers={"Location": f"{other.url}/v2/images?token=x"}))
        outcome = watched.run()
        assert outcome.code == 1
        assert f"redirects to {other.url}/v2/images, and credentials are not sent there" in outcome.text
        assert "Traceback" not in outcome.text
        assert other.calls == []


def test_an_answer_without_end_is_not_read(watched: Bench, proxy: Proxy, glance: Glance) -> None:
    proxy.add(Rule(*LISTING, times=None, status=200, body=" " * (65 * 1024 * 1024)))
    with pytest.raises(CloudError, match=r"cloud 'openstack': the answer of http://.*/v2/images is larger than 64 MiB"):
        glance.list(watched.tag)


@pytest.mark.parametrize("call", ["delete", "deactivate", "drop", "stage", "import", "create", "patch"])
def test_a_page_is_no_deed(watched: Bench, proxy: Proxy, glance: Glance, call: str) -> None:
    """A login page or a proxy's greeting with 200 means that nothing was done."""
    image_id = one(watched)
    (found,) = watched.images()
    calls: dict[str, Callable[[], object]] = {
        "delete": lambda: glance.delete(image_id),
        "deactivate": lambda: glance.set_status(image_id, "deactivated"),
        "drop": lambda: glance.drop_from_store(image_id, "fast"),
        "stage": lambda: glance.stage(image_id, iter([b"x"])),
        "import": lambda: glance.import_image(image_id, "glance-direct"),
        "create": lambda: glance.create(found),
        "patch": lambda: glance.patch(image_id, [FieldChange("name", "one", "two", "test")]),
    }
    proxy.add(Rule("(?!GET).*", times=None, status=200, body=HTML))
    with pytest.raises(CloudError, match=r"cloud 'openstack': .* does not answer as Glance does"):
        calls[call]()
    assert watched.images() == [found]


SHAPES: dict[str, tuple[str, str, Callable[[Glance], object]]] = {
    "methods": ("/v2/info/import", '{"import-methods": {"value": 3}}', Glance.import_methods),
    "stores": ("/v2/info/stores", '{"stores": [{"id": 3}]}', Glance.stores),
    "members": (".*/members", '{"members": null}', lambda glance: members.members(glance, "abc")),
    "not JSON": (".*/abc", HTML, lambda glance: glance.get("abc")),
    "another image": (".*/abc", OTHER, lambda glance: glance.get("abc")),
    "half an image": (".*/abc", '{"id": "abc"}', lambda glance: glance.get("abc")),
}


@pytest.mark.parametrize("case", SHAPES)
def test_answers_of_another_shape(proxy: Proxy, glance: Glance, case: str) -> None:
    path, body, ask = SHAPES[case]
    rule = proxy.add(Rule("GET", path, times=None, status=200, body=body))
    with pytest.raises(CloudError, match="cloud 'openstack': "):
        ask(glance)
    assert rule.seen == 1


def stopped(bench: Bench, stalled: threading.Event, *arguments: str) -> None:
    """One Ctrl-C ends a run that waits for an answer."""
    with bench.start(*arguments) as process:
        try:
            while not stalled.wait(0.05):
                assert process.poll() is None
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert time.monotonic() - begun < 5, out
    assert process.returncode == 130, out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    ("where", "command", "how"),
    [
        ("list", "plan", "hold"),
        ("list", "run", "drip"),
        ("members", "plan", "drip"),
        ("stage", "run", "hold"),
        ("import", "run", "drip"),
        ("poll", "run", "drip"),
    ],
)
def test_one_interrupt_is_enough(watched: Bench, proxy: Proxy, where: str, command: str, how: str) -> None:
    watched.define(watched.ubuntu("1", visibility="shared", members=["member"]))
    if where == "members":
        assert watched.run().code == 0
    calls = {
        "list": LISTING,
        "members": ("GET", ".*/members"),
        "stage": ("PUT", ".*/stage"),
        "import": ("POST", ".*/import"),
        "poll": ("GET", "/v2/images/[^/]+"),
    }
    stalled, end = threading.Event(), threading.Event()
    method, path = calls[where]
    proxy.add(Rule(method, path, times=None, before=stalled.set, **{how: end}))
    try:
        stopped(watched, stalled, *(["plan"] if command == "plan" else []))
    finally:
        end.set()


@pytest.mark.parametrize(("command", "how"), [("plan", "hold"), ("run", "drip")])
def test_one_interrupt_is_enough_during_the_login(bench: Bench, sandbox: Sandbox, command: str, how: str) -> None:
    bench.define(bench.ubuntu("1"))
    keystone = sandbox.url("keystone")
    with serving(Proxy(keystone)) as proxy:
        path = bench.directory / "login.yaml"
        path.write_text(bench.clouds.read_text().replace(keystone, proxy.url))
        bench.clouds = path
        stalled, end = threading.Event(), threading.Event()
        proxy.add(Rule(times=None, before=stalled.set, **{how: end}))
        try:
            stopped(bench, stalled, *(["plan"] if command == "plan" else []))
        finally:
            end.set()


def test_an_image_that_goes_while_its_members_are_read(watched: Bench, proxy: Proxy) -> None:
    shared = watched.ubuntu("1", visibility="shared", members=["member"])
    watched.define(shared)
    assert watched.run().code == 0
    image_id = watched.image("1").id
    watched.define(shared, watched.ubuntu("2", name=f"{watched.tag} other", visibility="private"))
    proxy.add(Rule("GET", ".*/members", before=lambda: watched.admin.image.delete(f"/images/{image_id}")))
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert set(watched.names().values()) == {"1", "2"}
    assert watched.image("1").id != image_id
    watched.converged()


@pytest.mark.parametrize("status", [404, 500])
def test_members_that_are_refused_end_one_definition(watched: Bench, proxy: Proxy, status: int) -> None:
    """Glance still has the image, so it is not gone."""
    shared = watched.ubuntu("1", visibility="shared", members=["member"])
    watched.define(shared)
    assert watched.run().code == 0
    before = watched.image("1")
    other = f"{watched.tag} other"
    watched.define(watched.ubuntu("1", "3", visibility="shared", members=["member"]), watched.ubuntu("2", name=other))
    proxy.add(Rule("GET", ".*/members", times=None, status=status, body="no"))
    outcome = watched.run()
    assert outcome.code == 1, outcome.text
    assert f"left alone: who sees {before.id} is not known: Glance answered {status}: no" in outcome.out
    assert watched.names() == {before.name: "1", other: "2"}
    assert watched.image("1") == before


def test_members_while_glance_is_gone(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1", visibility="shared", members=["member"]))
    assert watched.run().code == 0
    proxy.add(Rule("GET", ".*/members", status=404, body="no"))
    proxy.add(Rule("GET", "/v2/images/[^/]+", times=None, status=500, body="no"))
    outcome = watched.run("plan")
    assert (outcome.code, "is not known: Glance answered 404" in outcome.out) == (1, True), outcome.text


def test_one_interrupt_is_enough_while_an_upstream_is_asked(bench: Bench) -> None:
    stalled, end = threading.Event(), threading.Event()
    with serving(Proxy(CLOSED)) as upstream:
        upstream.add(Rule(times=None, before=stalled.set, hold=end))
        moving = {"version": "latest", "url": f"{upstream.url}/a.img", "checksums_url": f"{upstream.url}/SUMS"}
        bench.define(bench.ubuntu(moving))
        try:
            stopped(bench, stalled, "plan")
        finally:
            end.set()


def test_stored_bytes_that_drip(watched: Bench, proxy: Proxy, glance: Glance) -> None:
    one(watched)
    (found,) = watched.images()
    end, stop = threading.Event(), threading.Event()
    progress: list[int] = []
    proxy.add(Rule("GET", ".*/file", times=None, drip=end))
    try:
        with pytest.raises(CloudError, match="could not be read in time"):
            stored_data.stored_checksum(glance, found, "sha256", time.monotonic() + 1, stop, progress.append)
        stop.set()
        with pytest.raises(Interrupted):
            stored_data.stored_checksum(glance, found, "sha256", time.monotonic() + 60, stop, progress.append)
    finally:
        end.set()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_login_follows_a_redirect(bench: Bench, sandbox: Sandbox, method: str) -> None:
    keystone = sandbox.url("keystone")
    with serving(Proxy(keystone)) as proxy, serving(Proxy(keystone)) as other:
        proxy.add(Rule(times=None, status=302, headers={"Location": f"{other.url}/v3/auth/tokens?x=y"}))
        path = bench.directory / "login.yaml"
        # Where the address names no version, Keystone is asked first which ones it has.
        address = proxy.url if method == "GET" else f"{proxy.url}/v3"
        path.write_text(bench.clouds.read_text().replace(f"{keystone}/v3", address))
        bench.clouds = path
        bench.define(bench.ubuntu("1"))
        outcome = bench.run()
        assert (outcome.code, other.count("POST")) == (1, 0)
        if method == "GET":  # it has no credentials, so it may be redirected, but not to a page that wants some
            assert f"cloud 'openstack': {proxy.url} answers 401 before any login; check auth_url" in outcome.text
            return
        assert f"{proxy.url}/v3/auth/tokens redirects to {other.url}/v3/auth/tokens, " in outcome.text
        assert f"not sent there; set auth_url to {other.url}/v3 in clouds.yaml if that is right" in outcome.text
        assert "Traceback" not in outcome.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v3/projects", '{"projects": null}'),
        ("/v3/projects", '{"projects": [{"id": "abc", "name": null}]}'),
        ("/v3/projects", '{"projects": [], "links": {"next": "http://127.0.0.1:9/v3/projects"}}'),
        ("/v3/domains/.*", '{"domain": []}'),
        ("/v3/domains/.*", HTML),
    ],
)
def test_projects_that_keystone_does_not_describe(bench: Bench, sandbox: Sandbox, path: str, body: str) -> None:
    with serving(Proxy(sandbox.url("keystone"))) as keystone:
        keystone.add(Rule("GET", path, times=None, status=200, body=body))
        clouds = bench.directory / "keystone.yaml"
        clouds.write_text(elsewhere(bench.clouds.read_text(), identity=keystone.url))
        bench.clouds = clouds
        shared = bench.ubuntu("1", visibility="shared", members=["shop"], name=f"{bench.tag} shared")
        bench.define(shared, bench.ubuntu("2"))
        outcome = bench.run()
        assert outcome.code == 1
        assert f"{bench.tag} shared: left alone: cloud 'openstack': " in outcome.text
        assert "Keystone" in outcome.text
        assert set(bench.names().values()) == {"2"}


def test_images_with_the_ids_of_versions_that_can_not_be_asked_for(watched: Bench, proxy: Proxy) -> None:
    named = {**watched.version("1"), "id": str(uuid.uuid4())}
    watched.define(watched.ubuntu(named, name=f"{watched.tag} named"), watched.ubuntu("2"))
    proxy.add(Rule(*LISTING, query=".*&id=.*", times=None, status=400, body="no"))
    outcome = watched.run()
    assert outcome.code == 1
    assert f"{watched.tag} named: left alone: cannot list the images with its ids: " in outcome.text
    assert set(watched.names().values()) == {"2"}


def test_images_of_the_same_name_that_can_not_be_asked_for(watched: Bench, proxy: Proxy) -> None:
    """They are a reason for a warning only."""
    watched.define(watched.ubuntu("1"))
    proxy.add(Rule(*LISTING, query=".*&name=.*", times=None, status=400, body="no"))
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert "warning: names: cannot check which other images have these names: Glance answered 400: no" in outcome.text
    assert set(watched.names().values()) == {"1"}
