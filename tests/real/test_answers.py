"""What Glance answers is believed only if it can be its answer; an image in a listing is one, whatever moves meanwhile."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from openstack_image_manager.glance import Glance
from tests.real.bench import Bench
from tests.services.proxy import Proxy, Rule

LISTING = ("GET", "/v2/images")
HTML = "<html>welcome</html>"


@pytest.fixture
def glance(proxied_clouds: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Glance]:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(proxied_clouds))
    with closing(Glance.connect("openstack")) as connected:
        yield connected


def one(bench: Bench, **fields: Any) -> str:
    """A small image by hand; its id."""
    return bench.make(b"x" * 512, name="one", image_name="one", disk_format="raw", **fields)


def hide(bench: Bench, image_id: str, value: bool) -> None:
    (image,) = [image for image in bench.images() if image.id == image_id]
    bench.patch(image, {"op": "replace", "path": "/os_hidden", "value": value})


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("last", ["false", "true"])
def test_an_image_that_is_hidden_during_the_listing_is_there_once(
    watched: Bench, proxy: Proxy, glance: Glance, hidden: bool, last: str
) -> None:
    """It would be in both lists or in neither."""
    image_id = one(watched, os_hidden=hidden)
    seen = threading.Event()
    first = "true" if last == "false" else "false"
    proxy.add(Rule(*LISTING, query=f".*os_hidden={first}.*", after=seen.set))

    def move() -> None:
        assert seen.wait(20)
        hide(watched, image_id, not hidden)

    proxy.add(Rule(*LISTING, query=f".*os_hidden={last}.*", before=move))
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
    with pytest.raises(Exception, match="cloud 'openstack': its images change faster than they can be listed"):
        glance.list(watched.tag)
    assert image_id in {image.id for image in watched.images()}
    assert proxy.count(*LISTING) == 10


def test_all_images_of_a_definition(watched: Bench, proxy: Proxy, glance: Glance) -> None:
    name = watched.tag
    ids = {watched.make(b"x", image_name=name, os_hidden=hidden) for hidden in (False, True)}
    watched.make(b"x", image_name=f"{name} 2")
    untagged = watched.make(b"x", image_name=name, tags=[])
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
    "words": page(images=["image"]),
    "no fields": page(images=[{}]),
    "nested": lambda _: b'{"images": ' + b"[" * 100_000,
    "too many": lambda body: page(images=[{"id": str(i)} for i in range(1001)])(body),
    "path as id": image(id="../../v3/users"),
    "size": image(size="many"),
    "absurd size": image(size=2**70),
    "flag as number": image(min_disk=True),
    "hidden": image(os_hidden="no"),
    "tags": image(tags=[1]),
    "visibility": image(visibility=None),
    "no time": image(updated_at="yesterday"),
    "status": image(status=["active"]),
    "next elsewhere": page(next="http://127.0.0.1:9/v2/images?marker=x"),
    "next another path": page(next="/v3/users?marker=x"),
    "next no text": page(next=7),
    "next no marker": page(next="/v2/images?limit=1"),
    "next itself": page(next="/v2/images?marker="),
    "next no address": page(next="http://["),
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
    with pytest.raises(Exception, match="its pages never end"):
        glance.list(watched.tag)
    assert proxy.count(*LISTING) <= 6


@pytest.mark.parametrize("path", ["/v2/images", "/v2/info/import"])
def test_no_token_follows_a_redirect(watched: Bench, proxy: Proxy, path: str) -> None:
    with closing(Proxy("http://127.0.0.1:9")) if False else _sniffer() as other:
        watched.define(watched.ubuntu("1"))
        proxy.add(Rule("GET", path, times=None, status=302, headers={"Location": f"{other.url}/v2/images?token=x"}))
        outcome = watched.run()
        assert outcome.code == 1
        assert f"redirects to {other.url}/v2/images, and credentials are not sent there" in outcome.text
        assert "Traceback" not in outcome.text
        assert other.calls == []


def _sniffer() -> Any:
    from openstack_image_manager.sandbox.site import serving

    other = Proxy("http://127.0.0.1:9")
    other.add(Rule(times=None, status=200, body='{"images": []}'))
    return serving(other)


def test_an_answer_without_end_is_not_read(watched: Bench, proxy: Proxy, glance: Glance) -> None:
    proxy.add(Rule(*LISTING, times=None, status=200, body=" " * (65 * 1024 * 1024)))
    with pytest.raises(Exception, match="cloud 'openstack': the answer of http://.*/v2/images is larger than 64 MiB"):
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
        "stage": lambda: glance.stage(image_id, [b"x"]),
        "import": lambda: glance.import_image(image_id, "glance-direct"),
        "create": lambda: glance.create(found),
        "patch": lambda: glance.patch(image_id, _renamed()),
    }
    proxy.add(Rule("(?!GET).*", times=None, status=200, body=HTML))
    with pytest.raises(Exception, match="cloud 'openstack': .* does not answer as Glance does"):
        calls[call]()
    assert watched.images() == [found]


def _renamed() -> list[Any]:
    from openstack_image_manager.model import FieldChange

    return [FieldChange("name", "one", "two", "test")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/info/import", '{"import-methods": {"value": 3}}'),
        ("/v2/info/stores", '{"stores": [{"id": 3}]}'),
        ("/v2/images/[^/]+/members", '{"members": null}'),
        ("/v2/images/[^/]+", '{"id": "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f", "status": "active", "visibility": "public"}'),
    ],
)
def test_answers_of_another_shape(watched: Bench, proxy: Proxy, glance: Glance, path: str, body: str) -> None:
    from openstack_image_manager import members

    proxy.add(Rule("GET", path, times=None, status=200, body=body))
    calls: list[Callable[[], object]] = [
        glance.import_methods,
        glance.stores,
        lambda: members.members(glance, "abc"),
        lambda: glance.get("abc"),
    ]
    for call in calls:
        before = len(proxy.calls)
        try:
            call()
        except Exception as error:
            said = str(error)
        if proxy.calls[before].status == 200 and "abc" in proxy.calls[before].path or path.startswith("/v2/info"):
            break
    assert "cloud 'openstack': " in said
