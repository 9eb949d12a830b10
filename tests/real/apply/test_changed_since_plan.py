"""What someone changed since the plan was made: the last look before a change shows it, and nothing is overwritten."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from tests.support.bench import Bench, Outcome
from tests.support.proxy import Proxy, Rule

from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.cloud.lookahead import ImageLookahead


def test_what_someone_changes_during_a_run_is_not_overwritten(watched: Bench, proxy: Proxy) -> None:
    other = watched.ubuntu("2", name=f"Other {watched.tag}")
    watched.define(watched.ubuntu("1"), other)
    assert watched.run().code == 0
    image = watched.image("1")

    def interfere() -> None:
        watched.patch(
            image,
            {"op": "replace", "path": "/min_disk", "value": 7},
            {"op": "add", "path": "/theirs", "value": "new"},
        )

    proxy.add(Rule("GET", f"/v2/images/{image.id}", before=interfere))
    watched.define(watched.ubuntu("1", min_ram=128), {**other, "min_ram": 256})
    outcome = watched.run()
    assert outcome.code == 1, outcome.text
    assert f"{image.id} was changed by someone since the plan was made (min_disk, theirs); plan again" in outcome.out
    assert "1 ok, 1 failed, 0 skipped" in outcome.out
    found = watched.image("1")
    assert (found.min_ram, found.min_disk, watched.image("2").min_ram) == (64, 7, 256)
    assert watched.run().code == 0
    found = watched.image("1")
    assert (found.min_ram, found.properties["theirs"]) == (128, "new")
    watched.converged()


def patched(bench: Bench, level: str) -> dict[str, Any]:
    """Version 1 with one property more."""
    meta = bench.ubuntu("1")["meta"]
    return bench.ubuntu("1", meta={**meta, "patchlevel": level})


def looked(watched: Bench, proxy: Proxy, before: Callable[[], object]) -> Outcome:
    """A run that changes a property of version 1, where someone is quicker than its look before that."""
    watched.define(patched(watched, "1"))
    proxy.clear()
    # First come visible and hidden images, and those of both that changed meanwhile.
    rule = proxy.add(Rule("GET", "/v2/images", nth=5, before=before))
    outcome = watched.run()
    assert rule.seen == 5
    return outcome


def test_a_property_is_not_set_when_someone_changed_the_image_since_the_plan(watched: Bench, proxy: Proxy) -> None:
    other = watched.ubuntu("2", name=f"Other {watched.tag}")
    watched.define(watched.ubuntu("1"), other)
    assert watched.run().code == 0
    image = watched.image("1")
    path = f"/v2/images/{image.id}"
    theirs = [
        {"op": "replace", "path": "/min_disk", "value": 7},
        {"op": "add", "path": "/patchlevel", "value": "theirs"},
    ]
    outcome = looked(watched, proxy, lambda: watched.patch(image, *theirs))
    assert outcome.code == 1, outcome.text
    said = f"{image.id} was changed by someone since the plan was made (min_disk, patchlevel); plan again"
    assert said in outcome.out
    found = watched.image("1")
    assert (found.min_disk, found.properties["patchlevel"]) == (7, "theirs")
    assert proxy.count("PATCH", path) == 0
    assert watched.run().code == 0
    found = watched.image("1")
    assert (found.min_disk, found.properties["patchlevel"]) == (1, "1")
    watched.converged()


@pytest.mark.parametrize("theirs", ["hidden", "gone", "refused"])
def test_an_image_that_the_common_look_does_not_show(watched: Bench, proxy: Proxy, theirs: str) -> None:
    watched.define(watched.ubuntu("1"))
    assert watched.run().code == 0
    image = watched.image("1")
    hide = {"op": "replace", "path": "/os_hidden", "value": True}
    path = f"/v2/images/{image.id}"
    if theirs == "refused":
        watched.define(patched(watched, "1"))
        proxy.clear()
        proxy.add(Rule("GET", "/v2/images", nth=5, status=400, body="not now"))
        outcome = watched.run()
        assert (outcome.code, proxy.count("GET", path), proxy.count("PATCH", path)) == (0, 1, 1), outcome.text
    elif theirs == "hidden":
        outcome = looked(watched, proxy, lambda: watched.patch(image, hide))
        assert (outcome.code, proxy.count("PATCH", path)) == (1, 0)
        assert f"{image.id} was changed by someone since the plan was made (hidden); plan again" in outcome.out
    else:
        outcome = looked(watched, proxy, lambda: watched.admin.image.delete(path.removeprefix("/v2")))
        assert (outcome.code, f"{image.id} is gone since the plan was made; plan again" in outcome.out) == (1, True)
    assert watched.run().code == 0
    watched.converged()


def test_many_are_looked_at_with_one_question(watched: Bench, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.define(watched.ubuntu("1"), watched.ubuntu("2", name=f"Other {watched.tag}"))
    assert watched.run().code == 0
    one, two = watched.image("1"), watched.image("2")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(watched.clouds))
    with closing(Glance.connect("openstack")) as glance:
        looks = ImageLookahead(glance, [one.id, two.id])
        proxy.clear()
        assert [looks.get(two.id).id, looks.get(one.id).id] == [two.id, one.id]
        assert [call.path for call in proxy.calls] == ["/v2/images"]
        # Each answer is good for one change, and not for long.
        assert looks.get(one.id).id == one.id
        looks = ImageLookahead(glance, [one.id, two.id], fresh=-1.0)
        looks.get(one.id)
        proxy.clear()
        assert looks.get(two.id).id == two.id
        assert [call.path for call in proxy.calls] == [f"/v2/images/{two.id}"]


def test_an_image_that_is_gone_during_a_run(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    assert watched.run().code == 0
    image = watched.image("1")
    proxy.add(Rule("GET", f"/v2/images/{image.id}", before=lambda: watched.admin.image.delete(f"/images/{image.id}")))
    watched.define(watched.ubuntu("1", min_ram=128))
    outcome = watched.run()
    assert (outcome.code, f"{image.id} is gone since the plan was made; plan again" in outcome.out) == (1, True)
    assert watched.run().code == 0
    watched.converged()
