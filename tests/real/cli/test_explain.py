"""One image looked at: what defines it, how it stands in the clouds, and why the plan says what it says."""

from __future__ import annotations

import json

from tests.support.bench import Bench


def test_show_has_the_definition_and_every_cloud(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", bench.version("2", build_date="2024-05-06"), tags=["lts"]), bench.ubuntu(name="no"))
    name = f"Ubuntu {bench.tag}"
    assert bench.run("--latest").code == 0
    outcome = bench.run("show", name, "--cloud", "second")
    assert outcome.code == 0, outcome.text
    lines = outcome.out.splitlines()
    assert lines[0] == name
    assert ["login", "ubuntu"] in map(str.split, lines)
    assert ["versions", "2,", "1"] in map(str.split, lines)
    assert lines.index("Cloud openstack") < lines.index("Cloud second")
    image = bench.image("2")
    assert any(line.startswith("2 ") and image.id in line and "2024-05-06" in line for line in lines)
    assert sum("missing" in line for line in lines) == 3
    data = json.loads(bench.run("show", name, "--output", "json").out)
    assert data["definition"]["tags"] == ["lts"]
    newest, older = data["clouds"]["openstack"]
    assert (newest["id"], newest["size"], newest["visibility"]) == (image.id, image.size, "public")
    assert (older["state"], "size" in older) == ("missing", False)
    outcome = bench.run("show", name, "--cloud", "nowhere")
    assert outcome.code == 1
    assert "error: cloud 'nowhere'" in outcome.err
    outcome = bench.run("show", f"Ubunto {bench.tag}")
    assert (outcome.code, f"did you mean '{name}'?" in outcome.err) == (2, True)
    outcome = bench.run("explain", f"{name} (20261115)")  # as an image of it is called
    assert (outcome.code, f"did you mean '{name}'?" in outcome.err) == (2, True)


def test_explain_has_the_reasons_of_the_plan(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", "2", "3", "4"))
    name = f"Ubuntu {bench.tag}"
    assert bench.run().code == 0
    bench.define(bench.ubuntu("2", "3", "4", "5"))
    bench.patch(bench.image("3"), {"op": "replace", "path": "/os_distro", "value": "debian"})
    (plan,) = json.loads(bench.run("plan", "--output", "json").out)["clouds"]
    outcome = bench.run("explain", name)
    assert outcome.code == 0, outcome.text
    for part in (
        "no uuid_validity: the newest 3 builds stay visible",
        "current    5: the newest version that is defined",
        "place       the current build",
        f"+ {name}  import version 5: version 5 is not in the cloud",
        "place       1 build before it",
        "debian → ubuntu",
        "visibility  community: older than the visible builds",
        "is          no longer defined, and active in the cloud",
        "nothing to do",
    ):
        assert part in outcome.out, (part, outcome.out)
    data = json.loads(bench.run("explain", name, "--output", "json").out)["clouds"]["openstack"]
    told = [change for build in data["builds"] for change in build["changes"]]
    assert sorted(map(str, told)) == sorted(map(str, plan["changes"]))
    outcome = bench.run("explain", name, "--outdated", "delete", "--cloud", "nowhere")
    assert outcome.code == 1
    assert "in use" in outcome.out
