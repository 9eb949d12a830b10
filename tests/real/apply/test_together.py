"""Several runs at the same moment, as real processes, and what no run may ever do to another's image."""

from __future__ import annotations

import hashlib
import subprocess
import uuid

import pytest
from tests.support.bench import Bench
from tests.support.other_clients import LOCK, change, gone, left_behind, stage
from tests.support.proxy import Proxy, Rule
from tests.support.site import Switches

from openstack_image_manager.sandbox import Sandbox

pytestmark = pytest.mark.timeout(300)  # eight processes at once


@pytest.mark.parametrize(("runs", "chosen"), [(2, False), (8, False), (8, True)])
def test_runs_at_the_same_moment_make_one_image_of_each_version(bench: Bench, runs: int, chosen: bool) -> None:
    """Also where the definition says which id the newest one shall have."""
    name = bench.ubuntu()["name"]
    bench.define(bench.ubuntu("1", bench.version("2", **({"id": str(uuid.uuid4())} if chosen else {}))))
    processes = [bench.start() for _ in range(runs)]
    said = [process.communicate(timeout=250)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * runs, "\n".join(said)
    assert bench.names() == {name: "2", f"{name} (1)": "1"}
    assert len(bench.images()) == 2
    assert {image.visibility for image in bench.images()} == {"public"}
    bench.converged()


@pytest.mark.parametrize("runs", [2, 8])
def test_runs_at_the_same_moment_delete_only_what_one_run_would(bench: Bench, runs: int) -> None:
    """Two images of the newest version, and an outdated one: all runs delete at once, and one of the twins stays."""
    meta = {"os_distro": "ubuntu", "uuid_validity": "last-2"}
    bench.define(bench.ubuntu("1", "2", "3", meta=meta))
    assert bench.run().code == 0
    newest = bench.image("3")
    content = (bench.site.directory / "3.img").read_bytes()
    twin = bench.make(content, name=newest.name, image_name=newest.properties["image_name"], internal_version="3")
    bench.define(bench.ubuntu("2", "3", meta=meta))
    processes = [bench.start("--outdated", "delete", "--unknown-usage", "delete") for _ in range(runs)]
    said = [process.communicate(timeout=250)[0] for process in processes]
    ids = {image.id for image in bench.images()}
    assert {newest.id, bench.image("2").id} == ids, "\n".join(said)
    assert twin not in ids
    # Whoever came second to an image found it done, or was told that it had changed.
    bad = [text for p, text in zip(processes, said, strict=True) if p.returncode and "plan again" not in text]
    assert bad == []
    assert bench.run("plan", "--outdated", "delete", "--exit-code").code == 0


@pytest.mark.parametrize("change", ["deleted", "renamed"])
def test_a_twin_keeps_its_name_when_the_other_one_goes_out_of_sight(watched: Bench, proxy: Proxy, change: str) -> None:
    """Another run took the name from the one that was to keep it: nobody would find an image by it."""
    name = watched.ubuntu()["name"]
    watched.define(watched.ubuntu("1"))
    assert watched.run().code == 0
    keeper = watched.image("1")
    content = (watched.site.directory / "1.img").read_bytes()
    twin = watched.make(content, name=name, image_name=name, internal_version="1")

    def meanwhile() -> None:
        if change == "deleted":
            watched.admin.image.delete(f"/images/{keeper.id}")
        else:
            watched.patch(keeper, {"op": "replace", "path": "/name", "value": f"{name} (1)"})

    proxy.add(Rule("GET", f".*/{twin}", after=meanwhile))
    outcome = watched.run()
    assert outcome.code == 1, (proxy.calls, outcome.text)
    deleted = f"{keeper.id} is gone since the plan was made; plan again"
    renamed = f"another run gives '{name}' to another image; plan again"
    assert (deleted if change == "deleted" else renamed) in outcome.text
    assert name in [image.name for image in watched.images()]
    assert watched.run().code == 0
    assert [(image.name, image.hidden) for image in watched.images() if not image.hidden] == [(name, False)]


@pytest.mark.parametrize("runs", [2, 8])
def test_runs_at_the_same_moment_rotate_and_delete(bench: Bench, runs: int) -> None:
    """All of them import, rename, hide and delete: what another one has done is done."""
    meta = {"os_distro": "ubuntu", "uuid_validity": "none"}
    name = bench.ubuntu()["name"]
    bench.define(bench.ubuntu("1", "2", meta=meta))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("3", meta=meta))
    options = ("--outdated", "delete", "--unknown-usage", "delete")
    processes = [bench.start(*options) for _ in range(runs)]
    said = [process.communicate(timeout=250)[0] for process in processes]
    assert bench.names() == {name: "3"}, "\n".join(said)
    failed = [text for p, text in zip(processes, said, strict=True) if p.returncode and "plan again" not in text]
    assert failed == []
    assert bench.run("plan", *options, "--exit-code").code == 0


def test_a_second_run_does_not_harm_a_slow_first_one(bench: Bench) -> None:
    """The first run is in the middle of its upload, and goes on when the second one has come and gone."""
    name = bench.ubuntu()["name"]
    bench.define(bench.ubuntu("1"))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("1", "2"))
    bench.site.on("/2.img", Switches(delay=0.4))
    with bench.start() as first:
        while bench.site.count("/2.img") < 1:
            assert first.poll() is None
        second = bench.run()
        out, _ = first.communicate(timeout=60)
    assert (first.returncode, second.code) == (0, 0), out + second.text
    assert bench.names() == {name: "2", f"{name} (1)": "1"}
    bench.converged()


def test_a_second_run_sees_the_first_ones_record_before_its_tags(watched: Bench, proxy: Proxy) -> None:
    """Glance writes the tags of a new image after all else: there is a moment without."""
    watched.define(watched.ubuntu("1"))
    others: list[subprocess.Popen[str]] = []

    def second() -> None:
        (image,) = watched.images()
        path = f"/images/{image.id}/tags/{watched.tag}"
        assert watched.admin.image.delete(path).status_code == 204
        others.append(watched.start())
        while proxy.count("GET", f"/v2/images/{image.id}") < 2:  # it was refused, and looks who has the id, and again
            assert others[0].poll() is None
        assert watched.admin.image.put(path).status_code == 204

    proxy.add(Rule("POST", "/v2/images", after=second))
    outcome = watched.run()
    out, _ = others[0].communicate(timeout=60)
    assert (outcome.code, others[0].returncode) == (0, 0), outcome.text + out
    assert watched.names() == {f"Ubuntu {watched.tag}": "1"}
    watched.converged()


def test_a_second_run_leaves_the_import_to_the_first_one(watched: Bench, proxy: Proxy) -> None:
    """Two orders to import the same bytes at the same moment break each other in Glance, and then both runs fail."""
    watched.define(watched.ubuntu("1"))
    others: list[subprocess.Popen[str]] = []

    def second() -> None:
        (image,) = watched.images()
        assert image.status == "uploading"
        before = proxy.count("GET", f"/v2/images/{image.id}")
        others.append(watched.start())
        while proxy.count("GET", f"/v2/images/{image.id}") < before + 3:  # it found the bytes, and looks again
            assert others[0].poll() is None

    orders = proxy.add(Rule("POST", ".*/import", before=second))
    first = watched.run()
    (process,) = others
    said = process.communicate(timeout=60)[0]
    assert (first.code, process.returncode, orders.seen) == (0, 0, 1), first.text + said
    assert watched.names() == {watched.ubuntu()["name"]: "1"}


@pytest.mark.parametrize("moment", ["it waits for the import", "it has ordered the import"])
def test_a_record_that_another_run_takes_back(watched: Bench, proxy: Proxy, sandbox: Sandbox, moment: str) -> None:
    """The run that made it failed: the one that relied on it makes its own."""
    left = left_behind(watched)
    if moment == "it waits for the import":
        change(sandbox, LOCK, left)
        proxy.add(Rule("GET", f".*/{left}", nth=3, before=lambda: gone(watched)))
    else:
        stage(watched, left, (watched.site.directory / "1.img").read_bytes())
        proxy.add(Rule("POST", f".*/{left}/import", before=lambda: gone(watched)))
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert [image.status for image in watched.images()] == ["active"]
    assert watched.image("1").id != left
    watched.converged()


def test_a_record_that_somebody_finished_is_not_deleted_by_a_run_that_failed(watched: Bench, proxy: Proxy) -> None:
    """Our request for the import fails, but the image is complete and published when we come to clear away."""
    watched.define(watched.ubuntu("1"))

    def finish() -> None:
        (image,) = watched.images()
        assert (
            watched.admin.image.post(
                f"/images/{image.id}/import", json={"method": {"name": "glance-direct"}}
            ).status_code
            == 202
        )
        while watched.images()[0].status != "active" or watched.images()[0].import_task:
            assert watched.images()
        verified = watched.images()[0].properties["image_manager_verified"].removeprefix("pending ")
        watched.patch(watched.images()[0], {"op": "add", "path": "/image_manager_verified", "value": verified})

    proxy.add(Rule("POST", ".*/import", before=finish, status=400, body="oh"))
    outcome = watched.run()
    assert outcome.code == 1
    assert "Glance answered 400: oh" in outcome.out
    assert watched.image("1").status == "active"
    assert watched.run().code == 0
    watched.converged()


def test_an_image_that_is_to_be_deactivated_is_never_seen_active(watched: Bench, proxy: Proxy) -> None:
    seen: list[tuple[str, str]] = []
    watched.define(watched.ubuntu("1", status="deactivated"))
    proxy.add(Rule("PATCH|POST", ".*", times=None, after=lambda: seen.extend(look(watched))))
    assert watched.run().code == 0
    assert ("public", "active") not in seen
    assert seen[-1] == ("public", "deactivated")


def look(bench: Bench) -> list[tuple[str, str]]:
    return [(image.visibility, image.status) for image in bench.images()]


def test_a_chosen_id_survives_a_failed_import(bench: Bench) -> None:
    chosen = "5b1e7a3c-0000-4000-8000-" + bench.tag[-12:]
    right = bench.version("1", id=chosen)
    for url, checksum in ((bench.site.url + "/missing.img", None), (right["url"], "sha256:" + "0" * 64)):
        bench.define(bench.ubuntu({**right, "url": url, "checksum": checksum}))
        outcome = bench.run("--import-method", "glance-direct")
        assert outcome.code == 1, outcome.text
    bench.define(bench.ubuntu(right))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert bench.image("1").id == chosen


@pytest.mark.parametrize("field", ["checksums_url", "checksum_url"])
def test_a_checksum_file_of_a_fixed_version_is_used(bench: Bench, field: str) -> None:
    version = bench.version("1", checksum=None)
    content = (bench.site.directory / "1.img").read_bytes()
    version[field] = bench.site.put("/SUMS", b"0" * 64 + b"  1.img\n")
    bench.define(bench.ubuntu(version))
    outcome = bench.run()
    assert (outcome.code, "wrong checksum: expected sha256:000" in outcome.out) == (1, True), outcome.text
    bench.site.on("/SUMS", Switches(status=404))
    assert "/SUMS: 404 Not Found" in bench.run().out
    assert bench.images() == []
    bench.site.on("/SUMS", Switches())
    bench.site.put("/SUMS", f"{hashlib.sha256(content).hexdigest()}  1.img\n".encode())
    assert bench.run().code == 0
    assert bench.image("1").properties["image_manager_verified"].endswith("before import")
    bench.converged()


@pytest.mark.parametrize("content", [b"<html>a listing</html>", b"QFI\xfb" + b"\0" * 1000])
def test_what_glance_fetches_is_looked_at_first(watched: Bench, proxy: Proxy, content: bytes) -> None:
    url = watched.site.put("/x.img", content)
    watched.define(watched.ubuntu({"version": "1", "url": url}, format="raw"))
    outcome = watched.run()
    assert (outcome.code, f"{url}: " in outcome.out) == (1, True), outcome.text
    assert proxy.count("POST") == 0
