"""`apply` without the command line around it: what who watches is told, and how it is interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import date

import pytest
from tests.support.bench import Bench
from tests.support.imports import ONE_IMAGE, content, define, made
from tests.support.other_clients import change
from tests.support.proxy import Proxy, Rule
from tests.support.site import Switches

from openstack_image_manager.apply.executor import Job, apply
from openstack_image_manager.apply.image_record import ImageRecords
from openstack_image_manager.apply.import_method import ImportOptions
from openstack_image_manager.apply.importer import Importer
from openstack_image_manager.apply.other_runs import OtherRuns
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.definitions.loader import load
from openstack_image_manager.errors import Interrupted
from openstack_image_manager.plan.model import Create, Delete, Plan, Policy, Result, Update
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.plan.replanning import Replanner
from openstack_image_manager.sandbox import Sandbox


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
            definitions, images = load(str(bench.directory / "images")).definitions, glance.list(bench.tag)
            policy, day = Policy(tag=bench.tag, project=glance.project), date(2026, 11, 22)
            decisions = Replanner(todo, definitions, images, policy, day, admin=True)
            (results,) = apply([Job(todo, glance, policy, reporter, decisions)], ImportOptions())
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
        claims = ImageRecords(OtherRuns(glance, 60.0, stop, Watcher()), watched.tag)
        with pytest.raises(Interrupted):
            Importer(glance, ImportOptions(), {}, stop, Watcher(), claims).import_version(
                create, lambda change, _: change
            )
    hold.set()
    assert [image.visibility for image in watched.images()] in ([], ["private"])
    if answer is None:  # else it would wait first whether somebody fills the empty record
        made(watched)


def test_nothing_to_do(bench: Bench, applied: Callable[[Watcher], list[Result]]) -> None:
    bench.define()
    assert applied(Watcher()) == []


def test_no_image_is_deleted_or_changed_for_one_that_is_the_very_same(
    bench: Bench, planned: Callable[[], AbstractContextManager[tuple[Glance, Plan]]]
) -> None:
    """Whatever a plan says: an image is never compared with itself."""
    meta = {**bench.ubuntu()["meta"], "uuid_validity": "none"}
    bench.define(bench.ubuntu("1", "2", meta=meta))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("2", meta=meta, min_ram=128))
    with planned() as (glance, _):
        definitions, images = load(str(bench.directory / "images")).definitions, glance.list(bench.tag)
        policy = Policy(tag=bench.tag, project=glance.project, outdated="delete", unknown_usage="delete")
        todo = plan(definitions, images, policy, date(2026, 11, 22))
        changes = [replace(each, keeper=each.found) for each in todo.changes if isinstance(each, Update | Delete)]
        decisions = Replanner(todo, definitions, images, policy, date(2026, 11, 22), admin=True)
        # Each of them alone: the first failure ends a definition.
        jobs = [Job(Plan((each,)), glance, policy, Watcher(), decisions) for each in changes]
        results = [result for (result,) in apply(jobs, ImportOptions())]
    assert {(type(each), each.found.id) for each in changes} == {
        (Delete, bench.image("1").id),
        (Update, bench.image("2").id),
    }
    for each, result in zip(changes, results, strict=True):
        assert result.state == "failed"
        assert result.message.endswith(f"{each.found.id} cannot stand in place of itself; plan again")
    assert {image.id for image in bench.images()} == {image.id for image in images}


def test_what_is_no_message_for_a_user_is_not_hidden(bench: Bench, applied: Callable[[Watcher], list[Result]]) -> None:
    define(bench)
    with pytest.raises(LookupError, match="imported as"):
        applied(Watcher(deaf=True))
