"""What others do to an image at the worst moment: leave it half done, work on it, delete it, change it, break it."""

from __future__ import annotations

import hashlib
import http.client
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from openstack.connection import Connection

from openstack_image_manager import desired
from openstack_image_manager.apply import Job, apply
from openstack_image_manager.claim import Claims
from openstack_image_manager.definitions import load
from openstack_image_manager.errors import Interrupted
from openstack_image_manager.glance import Glance
from openstack_image_manager.importer import Importer
from openstack_image_manager.model import Create, Plan, Policy, Result
from openstack_image_manager.plan import plan
from openstack_image_manager.sandbox import Sandbox
from openstack_image_manager.ways import ImportOptions
from tests.real.bench import Bench, Outcome
from tests.real.test_faults import record, web_download
from tests.services.proxy import Proxy, Rule
from tests.services.site import Switches

ONE_IMAGE = "/v2/images/[^/]+"
OTHER_PROMISE = f"{desired.PENDING}sha256:{'0' * 64}{desired.BEFORE}"


def define(bench: Bench, **version: Any) -> None:
    bench.define(bench.ubuntu(bench.version("1", **version), visibility="private"))


def content(bench: Bench) -> bytes:
    return (bench.site.directory / "1.img").read_bytes()


def made(bench: Bench, *arguments: str) -> Outcome:
    """Run: all is well and nothing else is left."""
    outcome = bench.run(*arguments)
    assert outcome.code == 0, outcome.text
    (image,) = bench.images()
    assert (image.status, image.hash_value) == ("active", hashlib.sha512(content(bench)).hexdigest())
    bench.converged()
    return outcome


def failed(bench: Bench, *arguments: str) -> str:
    """Run: it fails with a message; what it said."""
    outcome = bench.run(*arguments)
    assert outcome.code == 1, outcome.text
    assert "Traceback" not in outcome.text
    return outcome.out


def left_behind(bench: Bench, **body: Any) -> str:
    """Define version 1, and make its record as a run would that then died; the record's id."""
    define(bench)
    name = bench.ubuntu()["name"]
    promise = f"{desired.PENDING}{bench.version('1')['checksum']}{desired.BEFORE}"
    ours = {"name": f"{name} (1)", "image_name": name, "internal_version": "1", desired.VERIFIED: promise}
    return record(bench, {"visibility": "private", **ours, **body})


def stage(bench: Bench, image_id: str, data: bytes) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    assert bench.admin.image.put(f"/images/{image_id}/stage", data=data, headers=headers).status_code == 204


def gone(bench: Bench) -> None:
    """Somebody deletes all images."""
    for image in bench.images():
        bench.admin.image.delete(f"/images/{image.id}")


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        threading.Event().wait(0.02)


def status(bench: Bench, image_id: str) -> str:
    return str(bench.admin.image.get(f"/images/{image_id}").json()["status"])


def test_what_is_staged_is_imported(bench: Bench) -> None:
    left = left_behind(bench)
    stage(bench, left, content(bench))
    made(bench)
    assert bench.image("1").id == left
    assert bench.site.requests == []


@pytest.mark.parametrize("body", [{desired.VERIFIED: OTHER_PROMISE}, {"disk_format": "raw"}], ids=["bytes", "format"])
def test_what_was_staged_for_another_definition(bench: Bench, body: dict[str, str]) -> None:
    left = left_behind(bench, **body)
    stage(bench, left, b"\0" * 4096)
    made(bench)
    assert bench.image("1").id != left
    assert bench.image("1").disk_format == "qcow2"
    assert len(bench.images()) == 1


def test_wrong_bytes_that_were_never_published_are_replaced(bench: Bench) -> None:
    define(bench)
    name = bench.ubuntu()["name"]
    properties = {desired.VERIFIED: f"pending sha512:{'0' * 128} after import", "image_name": name}
    left = bench.make(content(bench), name=f"{name} (1)", internal_version="1", visibility="private", **properties)
    assert "was never published: replaced" in made(bench).out
    assert bench.image("1").id != left


def test_a_left_record_keeps_the_id_that_was_chosen(bench: Bench) -> None:
    chosen = str(uuid.uuid4())
    left_behind(bench, id=chosen)
    define(bench, id=chosen)
    made(bench)
    assert bench.image("1").id == chosen


def test_an_id_that_someone_else_has(bench: Bench) -> None:
    theirs = record(bench, {"name": "theirs", "tags": []})
    define(bench, id=theirs)
    before = bench.admin.image.get(f"/images/{theirs}").json()
    assert "Glance answered 409" in failed(bench)
    assert bench.admin.image.get(f"/images/{theirs}").json() == before
    assert bench.images() == []
    assert bench.admin.image.delete(f"/images/{theirs}").status_code == 204


def test_an_empty_record_of_ours_with_the_id_of_a_version_is_filled(bench: Bench) -> None:
    left = record(bench, {"name": "left"})
    define(bench, id=left)
    assert bench.run().code == 0
    assert bench.image("1").id == left


@contextmanager
def uploading(bench: Bench, glance: str, image_id: str) -> Iterator[http.client.HTTPConnection]:
    """Somebody else is in the middle of an upload to the staging area."""
    connection = http.client.HTTPConnection(urlsplit(glance).netloc, timeout=30)
    with closing(connection):
        connection.putrequest("PUT", f"/v2/images/{image_id}/stage")
        token = bench.admin.session.get_token()
        for header in (
            ("X-Auth-Token", token),
            ("Content-Type", "application/octet-stream"),
            ("Transfer-Encoding", "chunked"),
        ):
            connection.putheader(*header)
        connection.endheaders()
        half = content(bench)[:1000]
        connection.send(b"%x\r\n%s\r\n" % (len(half), half))
        until(lambda: status(bench, image_id) == "uploading")
        yield connection


@pytest.mark.parametrize("end", ["it comes to its end", "it was another file"])
def test_an_upload_of_someone_else_is_waited_for(watched: Bench, proxy: Proxy, sandbox: Sandbox, end: str) -> None:
    promise = {desired.VERIFIED: OTHER_PROMISE} if end == "it was another file" else {}
    left = left_behind(watched, **promise)

    with uploading(watched, sandbox.url("glance-one"), left) as upload:

        def finish() -> None:
            rest = content(watched)[1000:]
            upload.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest))
            assert upload.getresponse().status == 204

        rule = proxy.add(Rule("GET", f".*/{left}", nth=2, before=finish))
        made(watched)
    assert rule.seen >= 2
    assert (watched.image("1").id == left) == (end == "it comes to its end")
    assert len(watched.images()) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_an_import_of_someone_else_is_waited_for(watched: Bench, proxy: Proxy, fails: bool) -> None:
    left = left_behind(watched)
    hold = threading.Event()
    watched.site.put("/theirs.img", content(watched))
    theirs = watched.site.on("/theirs.img", Switches(hold=hold, truncate=1000 if fails else None))
    web_download(watched, left, theirs)
    until(lambda: status(watched, left) == "importing")
    proxy.add(Rule("GET", f".*/{left}", nth=2, before=hold.set))
    assert "is being imported already: waiting for it" in made(watched).out
    assert (watched.image("1").id == left) == (not fails)
    assert len(watched.images()) == 1


def test_an_import_of_someone_else_that_cannot_be_looked_at(watched: Bench, proxy: Proxy) -> None:
    left = left_behind(watched)
    proxy.add(Rule("GET", f".*/{left}", status=500, body="no database"))
    assert "Glance answered 500: no database" in failed(watched)
    assert [image.id for image in watched.images()] == [left]


@pytest.mark.parametrize(("method", "path"), [("PUT", ".*/stage"), ("POST", ".*/import"), ("GET", ONE_IMAGE)])
def test_a_record_that_is_deleted_during_the_import(watched: Bench, proxy: Proxy, method: str, path: str) -> None:
    define(watched)
    proxy.add(Rule(method, path, before=lambda: gone(watched)))
    assert "Glance answered 404" in failed(watched)
    assert watched.images() == []
    made(watched)


@pytest.mark.parametrize(("method", "path"), [("POST", ".*/import"), ("GET", ONE_IMAGE)])
def test_a_web_download_that_breaks_goes_on_through_here(watched: Bench, proxy: Proxy, method: str, path: str) -> None:
    define(watched, checksum=None)
    proxy.add(Rule(method, path, status=500, body="oh"))
    assert "Glance answered 500: oh; now through this machine" in made(watched).out
    assert proxy.count("PUT", ".*/stage") == 1


def test_a_web_download_that_breaks_and_may_not_go_on(watched: Bench, proxy: Proxy) -> None:
    define(watched, checksum=None)
    proxy.add(Rule("POST", ".*/import", status=403, body="no"))
    said = failed(watched, "--prefetch", "never", "--stuck-retry", "3")
    assert "Glance answered 403: no" in said
    assert "next try" not in said
    assert watched.images() == []


def test_a_mirror_that_glance_may_not_ask(watched: Bench, proxy: Proxy) -> None:
    define(watched, checksum=None)
    mirror = f"{watched.site.url}/1.img".replace("127.0.0.1", "localhost")
    define(watched, checksum=None, mirror_url=mirror)
    made(watched)
    assert [call.status for call in proxy.calls if call.method == "POST"] == [201, 400, 202]


def test_a_failed_import_whose_reason_is_secret(watched: Bench, proxy: Proxy) -> None:
    define(watched, checksum=None)
    watched.site.on("/1.img", Switches(status=404))
    proxy.add(Rule("GET", ".*/tasks", times=None, status=403))
    said = failed(watched, "--import-method", "web-download")
    assert "Glance could not import it: the image is queued" in said
    assert watched.images() == []


def change(sandbox: Sandbox, statement: str, *values: str) -> None:
    """Change what the first Glance keeps."""
    path = sandbox.state / "data" / "glance-one" / "glance.sqlite"
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        database.execute(statement, values)


class Watcher:
    """A reporter that keeps what it hears; one that is `deaf` breaks at the first line."""

    live = True

    def __init__(self, deaf: bool = False) -> None:
        self.lines: list[tuple[str, str]] = []
        self.heard: list[tuple[str, str, int | None, int | None]] = []
        self.ended: list[str] = []
        self.deaf = deaf

    def line(self, subject: str, message: str) -> None:
        self.lines.append((subject, message))
        if self.deaf:
            raise LookupError(message)

    def progress(self, subject: str, message: str, done: int | None = None, total: int | None = None) -> None:
        self.heard.append((subject, message, done, total))

    def finished(self, subject: str) -> None:
        self.ended.append(subject)


@pytest.fixture
def planned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[tuple[Glance, Plan]]]:
    """A cloud and the plan for it, without the command line around them."""

    @contextmanager
    def made() -> Iterator[tuple[Glance, Plan]]:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(bench.clouds))
        definitions = load(str(bench.directory / "images")).definitions
        with closing(Glance.connect("openstack")) as glance:
            yield glance, plan(definitions, glance.list(bench.tag), Policy(tag=bench.tag), date(2026, 11, 22))

    return made


@pytest.fixture
def applied(
    bench: Bench, planned: Callable[[], AbstractContextManager[tuple[Glance, Plan]]]
) -> Callable[[Watcher], list[Result]]:
    """Plan and apply."""

    def run(reporter: Watcher) -> list[Result]:
        with planned() as (glance, todo):
            (results,) = apply([Job(todo, glance, Policy(tag=bench.tag), reporter)], ImportOptions())
            return results

    return run


def test_who_watches_is_told_of_the_bytes(bench: Bench, applied: Callable[[Watcher], list[Result]]) -> None:
    define(bench)
    watcher = Watcher()
    (result,) = applied(watcher)
    assert result.state == "ok"
    name, size = bench.ubuntu()["name"], len(content(bench))
    assert watcher.ended == [name]
    assert (name, "fetching", size, size) in watcher.heard
    assert [subject for subject, message in watcher.lines if message.startswith("imported as")] == [name]
    bench.converged()


def held_for_glance(bench: Bench, proxy: Proxy) -> threading.Event:
    """From the moment that Glance is told to fetch, the site waits for this event before it sends anything."""
    hold = threading.Event()
    hold.set()
    bench.site.on("/1.img", Switches(hold=hold))
    proxy.add(Rule("POST", ".*/import", before=hold.clear))
    return hold


def test_who_watches_is_told_what_glance_says(
    watched: Bench, applied: Callable[[Watcher], list[Result]], proxy: Proxy, sandbox: Sandbox
) -> None:
    """Glance says how far it is once a minute. Here it is made to say it at once, by what it keeps of its tasks."""
    define(watched, checksum=None)
    hold = held_for_glance(watched, proxy)

    def say() -> None:
        mine = "SELECT id FROM tasks WHERE image_id = ?"
        (image,) = watched.images()
        change(sandbox, f"UPDATE task_info SET message = 'Copied 7 MiB' WHERE task_id IN ({mine})", image.id)

    proxy.add(Rule("GET", ".*/tasks", before=say, after=hold.set))
    watcher = Watcher()
    (result,) = applied(watcher)
    assert result.state == "ok"
    assert (watched.ubuntu()["name"], "Copied 7 MiB", None, None) in watcher.heard


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [("PUT", ".*/stage", 503), ("GET", ONE_IMAGE, None), ("GET", "/v2/info/import", None)],
    ids=["in the pause before a retry", "in the wait for Glance", "before the import"],
)
def test_an_interrupt(
    watched: Bench,
    proxy: Proxy,
    planned: Callable[[], AbstractContextManager[tuple[Glance, Plan]]],
    method: str,
    path: str,
    answer: int | None,
) -> None:
    """Whatever is waited for just then. It leaves nothing that anyone could use, and the next run goes on."""
    stop = threading.Event()
    define(watched)
    if path == ONE_IMAGE:
        define(watched, checksum=None)
    hold = held_for_glance(watched, proxy)
    proxy.add(Rule(method, path, before=stop.set, status=answer))
    with planned() as (glance, todo):
        (create,) = todo.changes
        assert isinstance(create, Create)
        claims = Claims(glance, watched.tag, 60.0, stop, Watcher())
        with pytest.raises(Interrupted):
            Importer(glance, ImportOptions(), None, stop, Watcher(), claims).bring_in(create)
    hold.set()
    assert [image.visibility for image in watched.images()] in ([], ["private"])
    if answer is None:  # else it would wait first whether somebody fills the empty record
        made(watched)


def test_nothing_to_do(bench: Bench, applied: Callable[[Watcher], list[Result]]) -> None:
    bench.define()
    assert applied(Watcher()) == []


def test_what_is_no_message_for_a_user_is_not_hidden(bench: Bench, applied: Callable[[Watcher], list[Result]]) -> None:
    define(bench)
    with pytest.raises(LookupError, match="imported as"):
        applied(Watcher(deaf=True))


@pytest.fixture
def publisher(bench: Bench, sandbox: Sandbox, connections: dict[str, Connection]) -> Iterator[Bench]:
    """A bench of an ordinary user whom Glance's policy lets publish images."""
    keystone = bench.admin.identity
    user = keystone.create_user(name=f"publisher-{bench.tag}", password=bench.tag, domain_id="default")
    project = connections["member"].current_project_id
    keystone.assign_project_role_to_user(project, user, keystone.find_role("member"))
    clouds = yaml.safe_load(bench.clouds.read_text())
    auth = clouds["clouds"]["member"]["auth"]
    auth["username"], auth["password"] = user.name, bench.tag
    bench.clouds = bench.directory / "publisher.yaml"
    bench.clouds.write_text(yaml.safe_dump(clouds))
    bench.cloud = "member"
    folder = sandbox.state / "data" / "glance-one" / "policy.d"
    policy = folder / f"{bench.tag}.yaml"
    policy.write_text(f'publicize_image: "role:admin or user_id:{user.id}"\n')
    yield bench
    policy.unlink()
    keystone.delete_user(user)


def test_who_is_no_administrator_but_may_publish(publisher: Bench) -> None:
    publisher.define(publisher.ubuntu("1"))
    outcome = publisher.run()
    assert outcome.code == 0, outcome.text
    image = publisher.image("1")
    assert (image.visibility, image.hidden, image.status) == ("public", False, "active")
    publisher.converged()
