"""`scs check` on a real Glance: the images that the conformance test checks, and findings that definitions fix."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from tests.support.bench import Bench, Outcome, run_main

YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
META = {
    "architecture": "x86_64",
    "os_distro": "ubuntu",
    "os_version": "24.04",
    "os_purpose": "custom",
    "hw_disk_bus": "virtio",
    "hw_rng_model": "virtio",
    "hypervisor_type": "kvm",
    "replace_frequency": "yearly",
    "provided_until": "2099-12-31",
    "uuid_validity": "none",
}


def good(bench: Bench, **fields: Any) -> dict[str, Any]:
    return bench.ubuntu(bench.version("1", build_date=YESTERDAY), **{"meta": META, **fields})


def check(bench: Bench, *arguments: str, definitions: bool = False) -> Outcome:
    given = ["--images", str(bench.directory / "images"), "--tag", bench.tag] if definitions else []
    return run_main(["scs", "check", *arguments, *given], bench.environment)


def findings(bench: Bench, *arguments: str, definitions: bool = False) -> list[dict[str, Any]]:
    """Of the test's images alone: there may be others in the cloud."""
    outcome = check(bench, "--cloud", "openstack", "--output", "json", *arguments, definitions=definitions)
    found = json.loads(outcome.out)["clouds"]["openstack"]["findings"]
    return [each for each in found if bench.tag in each["name"]]


def test_live_images_and_findings_that_definitions_fix(bench: Bench) -> None:
    bench.define(good(bench))
    assert check(bench, "--standard", "0102-v2", definitions=True).code == 0
    assert bench.run().code == 0
    assert [each["level"] for each in findings(bench)] == ["note"]  # the test's tag does not begin with managed_by_
    image = bench.image("1")
    bench.patch(
        image,
        {"op": "replace", "path": "/architecture", "value": "x86-64"},
        {"op": "remove", "path": "/provided_until"},
        {"op": "replace", "path": "/min_ram", "value": 0},
    )
    bench.define(good(bench, meta={**META, "uuid_validity": "last-1", "os_purpose": "odd"}))
    found = {each["key"]: each["mended"] for each in findings(bench, definitions=True) if each["level"] == "error"}
    assert found == {"architecture": True, "provided_until": True, "min_ram": True}
    outcome = check(bench, "--cloud", "openstack", definitions=True)
    assert outcome.code == 3, outcome.text
    mended = f"error: Ubuntu {bench.tag} ({image.id}): architecture: 'x86-64' is not accepted: allowed: x86_64"
    assert mended in outcome.out
    assert "The plan, which fixes 3 findings:" in outcome.out
    assert f"~ Ubuntu {bench.tag}  {image.id}: differs from its definition" in outcome.out
    assert bench.image("1").properties["architecture"] == "x86-64"  # nothing was changed
    assert bench.run().code == 0
    assert {each["key"] for each in findings(bench) if each["level"] == "error"} == {"os_purpose"}
    bench.patch(image, {"op": "replace", "path": "/os_hidden", "value": True})
    assert findings(bench) == []


def test_the_forecast_and_an_image_that_is_outdated(bench: Bench) -> None:
    bench.define(good(bench))
    assert bench.run().code == 0
    data = json.loads(check(bench, "--cloud", "openstack", "--output", "json").out)["clouds"]["openstack"]
    (coming,) = [each for each in data["forecast"] if bench.tag in each["name"]]
    day = datetime.fromisoformat(YESTERDAY) + timedelta(days=365 * 1.1)
    assert coming["on"] == day.date().isoformat()
    assert f"outdated on {coming['on']}" in check(bench, "--cloud", "openstack").out
    bench.patch(bench.image("1"), {"op": "replace", "path": "/image_build_date", "value": "2020-01-01"})
    assert {each["test"] for each in findings(bench) if each["level"] == "error"} == {"scs-0102-image-recency"}


def test_definitions_before_they_are_images(bench: Bench) -> None:
    bench.define(good(bench, meta={**META, "architecture": "x86-64"}, min_ram=1))
    path = bench.directory / "images" / "images.yml"
    outcome = check(bench, "--standard", "0102-v1.1", "--strict", definitions=True)
    assert outcome.code == 3
    line = path.read_text().splitlines().index("    architecture: x86-64") + 1
    assert f"error: {path}:{line}:19: Ubuntu {bench.tag}: meta.architecture: 'x86-64' is not accepted" in outcome.out
    assert f"forecast: Ubuntu {bench.tag}: outdated on" in outcome.out
    data = json.loads(check(bench, "--output", "json", definitions=True).out)
    assert data["definitions"]["findings"][0]["line"] == line
    (suite,) = ElementTree.fromstring(check(bench, "--output", "junit", definitions=True).out)
    failed = [case.attrib["name"] for case in suite if len(case)]
    assert failed == ["scs-0102-prop-architecture", "scs-0104-image-ubuntu-2404"]
    bench.define(good(bench, meta=META, min_ram=1))
    assert check(bench, "--standard", "0102-v2", definitions=True).code == 0
    assert check(bench, "--standard", "0102-v2", "--strict", definitions=True).code == 3


def test_a_definition_whose_upstream_cannot_be_asked(bench: Bench) -> None:
    gone = {"version": "latest", "url": f"{bench.site.url}/a.img", "checksums_url": f"{bench.site.url}/gone"}
    bench.define(bench.ubuntu(gone, meta=META))
    outcome = check(bench, definitions=True)
    assert (outcome.code, "left alone, because its upstream cannot be queried" in outcome.out) == (1, True)
    assert "scs-0104-image-ubuntu-2404" not in outcome.out
    assert list(json.loads(check(bench, "--output", "json", definitions=True).out)["failed"]) == [f"Ubuntu {bench.tag}"]
    (suite,) = ElementTree.fromstring(check(bench, "--output", "junit", definitions=True).out)
    assert suite[-1].attrib["name"] == f"Ubuntu {bench.tag}"
    live = check(bench, "--output", "junit", "--images", str(bench.directory / "images"))
    (suite,) = ElementTree.fromstring(live.out)
    assert (live.code, suite[-1].attrib["name"], suite[-1][0].tag) == (1, f"Ubuntu {bench.tag}", "failure")


def test_several_clouds(bench: Bench) -> None:
    bench.define(good(bench))
    two = ["--cloud", "openstack", "--cloud", "second"]
    outcome = check(bench, *two)
    assert (outcome.code, outcome.out.count("Cloud ")) == (3, 2), outcome.text
    for definitions in (False, True):
        outcome = check(bench, *two, "--cloud", "nowhere", definitions=definitions)
        assert (outcome.code, "Cloud second" in outcome.out) == (1, True), outcome.text
        assert "cloud 'nowhere': not in " in outcome.err
        outcome = check(bench, "--cloud", "nowhere", definitions=definitions)
        assert (outcome.code, outcome.out) == (2, ""), outcome.text
    outcome = check(bench, "--output", "junit", *two, "--cloud", "nowhere")
    (suite,) = ElementTree.fromstring(outcome.out)
    assert {case.attrib["classname"] for case in suite} == {"openstack", "second", "nowhere"}
    outcome = check(bench, "--output", "json", *two, "--cloud", "nowhere", definitions=True)
    data = json.loads(outcome.out)
    assert data["clouds"]["second"]["plan"]["changes"][0]["action"] == "import"
    assert list(data["failed"]) == ["nowhere"]


def test_the_environment_is_a_cloud(bench: Bench) -> None:
    """openstacksdk calls it so."""
    assert "envvars" in check(bench, "--cloud", "envvars").err
    outcome = check(bench, "--cloud", "openstack", "--filter", "x")
    assert (outcome.code, "--filter selects definitions; add --images" in outcome.err) == (2, True)
