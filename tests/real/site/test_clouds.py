"""A site for tenants from a real cloud: what it shows is what another project sees there, no more and no less."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import lifespans
from tests.support.bench import Bench, Outcome, run_main
from tests.support.proxy import Proxy
from tests.support.reports import cases

from openstack_image_manager.plan import markers


@pytest.fixture
def ends(tmp_path: Path) -> Path:
    """Ends of support on a disk."""
    folder = tmp_path / "ends"
    folder.mkdir()
    (folder / "ubuntu.json").write_text(json.dumps(lifespans.document("ubuntu")))
    return folder


def build(bench: Bench, ends: Path, *options: str, cloud: str = "openstack") -> Outcome:
    images = ["--images", str(bench.directory / "images"), "--tag", bench.tag, "--eol-data", str(ends)]
    arguments = ["catalogue", "build", str(bench.directory / "web"), "--cloud", cloud, *images, *options]
    return run_main(arguments, bench.environment)


def shown(bench: Bench) -> dict[str, Any]:
    """The builds of the only image that is shown, by version."""
    data = json.loads((bench.directory / "web" / "images.json").read_text())
    ((image,),) = [distribution["images"] for distribution in data["distributions"]]
    return {each["version"]: each for each in image["builds"]}


def test_the_site_shows_what_another_project_sees(watched: Bench, ends: Path, connections: Any, proxy: Proxy) -> None:
    meta = {"os_distro": "ubuntu", "uuid_validity": "last-2", "os_version": "24.04"}
    secret = watched.ubuntu("7", name=f"Secret {watched.tag}", visibility="private")
    watched.define(watched.ubuntu("1", "2", "3", password="c4n4ry", meta=meta), secret)
    assert watched.run().code == 0
    before, everything = proxy.count("GET", "/v2/images"), proxy.count()
    outcome = build(watched, ends, "--title", "For you", "--url", "https://images.example.org/")
    assert (outcome.code, outcome.err) == (0, ""), outcome.text
    assert f"{watched.directory / 'web'}: 1 image of 1 distribution in openstack; " in outcome.out
    # Visible and hidden images, and what changed of them meanwhile; nothing is written.
    assert (proxy.count("GET", "/v2/images") - before, proxy.count() - everything) == (4, 4)

    found = {image.properties["internal_version"]: image for image in watched.images()}
    builds = shown(watched)
    assert list(builds) == ["3", "2", "1"]
    member = connections["member"].image
    for version, each in builds.items():
        (place,) = each["places"]
        image = member.get(f"/images/{place['id']}").json()
        assert (place["id"], place["name"], place["visibility"]) == (
            found[version].id,
            image["name"],
            image["visibility"],
        )
        assert place["stored"] == f"{image['os_hash_algo']}:{image['os_hash_value']}"
        assert f"{each['checksum']}{markers.BEFORE}" == image[markers.VERIFIED]
    assert [each["current"] for each in builds.values()] == [True, False, False]
    assert builds["1"]["places"][0]["visibility"] == "community"
    files = [path for path in (watched.directory / "web").rglob("*") if path.is_file()]
    texts = {path.name: path.read_text() for path in files}
    assert len(texts) == 10
    assert not [name for name, text in texts.items() if "Secret" in text or "c4n4ry" in text or found["7"].id in text]
    assert "standard security maintenance until 2029-05-31" in texts["ubuntu.html"]
    assert "https://images.example.org/feed.xml" in texts["feed.xml"]
    assert "For you" in texts["index.html"]

    again = build(watched, ends, "--title", "For you", "--url", "https://images.example.org/")
    # two of them tell the minute
    assert re.search("; (2 files written, 7|0 files written, 9) unchanged, 0 removed\n$", again.out), again.text


def test_hidden_images_are_removed_from_the_site(bench: Bench, ends: Path) -> None:
    bench.define(bench.ubuntu("1", "2"))
    assert bench.run().code == 0
    assert build(bench, ends).code == 0
    assert list(shown(bench)) == ["2", "1"]
    for version, change in (("1", "/os_hidden"), ("2", "/visibility")):
        value: Any = True if change == "/os_hidden" else "private"
        before = {path: path.read_bytes() for path in (bench.directory / "web").rglob("*") if path.is_file()}
        bench.patch(bench.image(version), {"op": "replace", "path": change, "value": value})
        outcome = build(bench, ends)
        if version == "1":
            assert (outcome.code, list(shown(bench))) == (0, ["2"])
    assert outcome.code == 1
    assert "no image of these definitions is visible to every tenant" in outcome.err
    assert before == {path: path.read_bytes() for path in before}


def test_a_site_reports_what_it_shows(bench: Bench, ends: Path) -> None:
    json_, note, xml = (bench.directory / f"r.{suffix}" for suffix in ("json", "md", "xml"))
    options = [part for path in (json_, note, xml) for part in ("--report", str(path))]
    lost = bench.ubuntu("3", name=f"Lost {bench.tag}", owner="nobody-here")
    bench.define(bench.ubuntu("1", "2"))
    assert bench.run().code == 0
    outcome = build(bench, ends, *options)
    report = json.loads(json_.read_text())
    assert (outcome.code, report["exit_code"], report["error"]) == (0, 0, None), outcome.text
    assert (report["command"], report["site"]) == ("catalogue build", str(bench.directory / "web"))
    assert report["images"] == [{"name": f"Ubuntu {bench.tag}", "versions": list(shown(bench))}]
    assert f"; {report['files']['written']} files written, 0 unchanged, 0 removed\n" in outcome.out
    assert outcome.out.strip() in note.read_text().replace("\\", "")
    assert cases(xml) == {f"Ubuntu {bench.tag}": ("passed", ""), "run": ("passed", "")}

    bench.define(bench.ubuntu("1", "2"), lost)
    outcome = build(bench, ends, *options)
    report = json.loads(json_.read_text())
    assert (outcome.code, report["exit_code"], report["findings"][0]["level"]) == (1, 1, "error"), outcome.text
    state, message = cases(xml)[f"Lost {bench.tag}"]
    assert (state, "there is no project 'nobody-here'" in message) == ("failure", True)
    assert cases(xml)[f"Ubuntu {bench.tag}"] == ("passed", "")

    (bench.directory / "web" / ".openstack-image-manager.json").unlink()
    outcome = build(bench, ends, *options)
    report = json.loads(json_.read_text())
    assert (outcome.code, report["exit_code"], "images" in report) == (1, 1, False)
    assert outcome.err == f"error: {report['error']}\n"
    assert cases(xml) == {"run": ("failure", report["error"])}

    outcome = build(bench, ends, "--report", str(bench.directory / "nowhere" / "r.json"))
    assert (outcome.code, "nothing was done" in outcome.err) == (1, True)


def test_several_clouds_and_one_that_does_not_answer(bench: Bench, ends: Path, connections: Any) -> None:
    bench.define(bench.ubuntu("1"))
    assert bench.run("--cloud", "second").code == 0
    outcome = build(bench, ends, "--cloud", "second")
    assert outcome.code == 0, outcome.text
    places = shown(bench)["1"]["places"]
    assert [place["cloud"] for place in places] == ["openstack", "second"]
    for place in places:
        image = connections[place["cloud"]].image.get(f"/images/{place['id']}").json()
        assert (image["created_at"], image["name"]) == (place["created"], place["name"])
    index = (bench.directory / "web" / "index.html").read_bytes()
    outcome = build(bench, ends, "--cloud", "nowhere")
    assert (outcome.code, "cloud 'nowhere': not in " in outcome.err) == (1, True), outcome.text
    assert (bench.directory / "web" / "index.html").read_bytes() == index


def test_a_cloud_without_a_name_has_the_name_of_its_region(bench: Bench, ends: Path) -> None:
    bench.define(bench.ubuntu("1"))
    assert bench.run().code == 0
    entry = yaml.safe_load(bench.clouds.read_text())["clouds"]["openstack"]
    access = {**entry["auth"], "region_name": entry["region_name"]}
    environment = {**bench.environment, **{f"OS_{key.upper()}": value for key, value in access.items()}}
    where = ["--images", str(bench.directory / "images"), "--tag", bench.tag, "--eol-data", str(ends)]
    outcome = run_main(["catalogue", "build", str(bench.directory / "web"), *where], environment)
    assert outcome.code == 0, outcome.text
    assert f"<h1>Images of {entry['region_name']}</h1>" in (bench.directory / "web" / "index.html").read_text()
    assert [place["cloud"] for place in shown(bench)["1"]["places"]] == [entry["region_name"]]


def test_without_end_of_life_data_provided_until_counts(bench: Bench, tmp_path: Path) -> None:
    meta = {"os_distro": "ubuntu", "os_version": "24.04", "provided_until": "2029-04-25"}
    bench.define(
        bench.ubuntu("1", meta=meta, owner="nobody-here"), bench.ubuntu("1", name=f"Other {bench.tag}", meta=meta)
    )
    assert bench.run("--filter", "^Other").code == 0
    outcome = build(bench, tmp_path / "nothing.json")
    assert (outcome.code, "nothing.json: there is no such file or directory" in outcome.err) == (2, True), outcome.text
    (tmp_path / "empty").mkdir()
    outcome = build(bench, tmp_path / "empty")
    assert outcome.code == 1  # for the owner
    assert "warning: ubuntu: its end of life is unknown: " in outcome.err
    assert "there is no project 'nobody-here'" in outcome.err
    page = next((bench.directory / "web" / "images").glob("*.html")).read_text()
    assert "provided until 2029-04-25" in page


def test_errors_are_reported_before_any_request_to_a_cloud(bench: Bench, ends: Path) -> None:
    (bench.directory / "web").mkdir()
    (bench.directory / "web" / "letter.txt").write_text("dear")
    outcome = build(bench, ends, cloud="nowhere")
    assert (outcome.code, "is neither empty nor a site of this command" in outcome.err) == (1, True), outcome.text
    for url in ("ftp://example.org/", "example.org", "https://exa mple.org/"):
        outcome = build(bench, ends, "--url", url)
        assert (outcome.code, "--url is not a URL" in outcome.err) == (2, True), outcome.text
