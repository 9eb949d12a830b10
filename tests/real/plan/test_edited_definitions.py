"""Definitions that are edited after their images were imported, on a real Glance."""

from __future__ import annotations

from typing import Any

from tests.support.bench import Bench

from openstack_image_manager.plan import markers


def unverified(bench: Bench, name: str) -> dict[str, Any]:
    """A version without a checksum."""
    version = bench.version(name)
    return {key: version[key] for key in ("version", "url")}


def test_a_renamed_definition_keeps_its_images(bench: Bench) -> None:
    bench.define(bench.ubuntu("20240416", "20240514"))
    assert bench.run().code == 0
    before = {image.id: image.name for image in bench.images()}
    new = f"Noble {bench.tag}"
    bench.define(bench.ubuntu("20240416", "20240514", name=new))
    plan = bench.run("plan")
    assert f"add former_names: ['Ubuntu {bench.tag}']" in plan.text
    bench.define(bench.ubuntu("20240416", "20240514", name=new, former_names=[f"Ubuntu {bench.tag}"]))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert {image.id: image.name for image in bench.images()} == {
        image_id: name.replace("Ubuntu", "Noble") for image_id, name in before.items()
    }
    assert bench.names() == {new: "20240514", f"{new} (20240416)": "20240416"}
    bench.converged()
    bench.define(bench.ubuntu("20240416", "20240514", name=new))
    bench.converged()


def test_an_edited_url_does_not_change_what_the_image_says_of_its_bytes(bench: Bench) -> None:
    first = unverified(bench, "20240416")
    bench.define(bench.ubuntu(first))
    assert bench.run().code == 0
    image = bench.image("20240416")
    assert image.properties["image_source"] == first["url"]
    other = {**first, "url": bench.publish("/other.img", "other")}
    bench.define(bench.ubuntu(other))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    warning = f"its URL is {other['url']}, but {image.id} came from {first['url']}"
    assert warning in outcome.text
    assert bench.image("20240416").properties == image.properties
    assert warning in bench.run("status").text
    bench.converged()


def test_a_checksum_that_is_defined_later_verifies_the_image(bench: Bench) -> None:
    version = unverified(bench, "20240416")
    bench.define(bench.ubuntu(version))
    assert bench.run().code == 0
    image = bench.image("20240416")
    assert image.properties[markers.VERIFIED] == "none"
    right = f"{image.hash_algorithm}:{image.hash_value}"
    wrong = f"{image.hash_algorithm}:{'0' * len(image.hash_value or '')}"
    bench.define(bench.ubuntu({**version, "checksum": wrong}))
    assert f"but {image.id} has {right}" in bench.run().text
    assert bench.image("20240416").properties == image.properties
    bench.define(bench.ubuntu({**version, "checksum": right}))
    assert bench.run().code == 0
    assert bench.image("20240416").properties[markers.VERIFIED] == f"{right} after import"
    bench.converged()
