"""A world for histories that is real: a Glance of the sandbox, the program as a command line; the laws are judged after
each of its calls."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any

from openstack_image_manager.cloud.glance import as_image
from openstack_image_manager.definitions.loader import load
from openstack_image_manager.model import Image
from openstack_image_manager.plan.markers import is_pending
from openstack_image_manager.sandbox import Sandbox
from tests.histories.laws import judge, lost_or_twins, settled
from tests.histories.machine import Told
from tests.histories.order import HIDDEN_SINCE, Order
from tests.histories.world import FIELDS, HAND_EDITS, TAG, by_hand
from tests.support.bench import Bench, Outcome
from tests.support.consumers import Consumers
from tests.support.other_clients import change, record
from tests.support.proxy import Proxy, Rule
from tests.support.site import Switches

WRITES = "POST|PUT|PATCH|DELETE"
# What a call may meet; a refusal is one of several, and the answer of a lost call never comes.
REFUSALS: tuple[dict[str, Any], ...] = ({"status": 500}, {"reset": "after"}, {"status": 503}, {"reset": "before"})
FAULTS: dict[str, dict[str, Any]] = {
    "forbid": {"status": 403, "body": "not allowed"},
    "busy": {"status": 409, "body": "in use"},
}
# States of an image that nobody can make from outside, or that the program takes minutes to be sure of.
BEYOND = ("queued", "importing", "staged", "pending_delete")


@dataclass
class Real:
    """The world of a sandbox. `seen`: what happened; `broken`: laws that were broken, as a thread of the proxy saw."""

    bench: Bench
    proxy: Proxy
    consumers: Consumers
    sandbox: Sandbox
    others: str
    clouds: Path  # a clouds.yaml that goes round the proxy
    seen: Counter[str]
    tag: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")
    broken: list[BaseException] = field(default_factory=list)
    known: dict[str, Image] = field(default_factory=dict)
    spoilt: set[str] = field(default_factory=set)
    digests: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    meddled: bool = False

    def __post_init__(self) -> None:
        self.bench.tag = self.tag

    def images(self) -> list[Image]:
        images = sorted(self.bench.images(), key=_place)
        return [replace(image, owner={self.others: "theirs"}.get(image.owner or "", "ours")) for image in images]

    def _look(self) -> dict[str, Image]:
        """All images; one that was in neither of the two listings because it just moved is asked for."""
        found = {image.id: image for image in self.images()}
        for image_id in self.known.keys() - found.keys():
            answer = self.bench.admin.image.get(f"/images/{image_id}")
            if answer.status_code == 200 and self.tag in answer.json()["tags"]:
                image = as_image(answer.json())
                found[image_id] = replace(image, owner={self.others: "theirs"}.get(image.owner or "", "ours"))
        return found

    def put(self, old: Image, new: Image | None) -> None:
        if new is None:
            self.bench.patch(old, {"op": "replace", "path": "/protected", "value": False})
            self.bench.admin.image.delete(f"/images/{old.id}")
            return
        operations: list[dict[str, Any]] = []
        for name in FIELDS:
            if name not in ("status", "members") and getattr(old, name) != getattr(new, name):
                operations.append({"op": "add", "path": f"/{self._path(name)}", "value": self._plain(new, name)})
        for key in old.properties.keys() | new.properties.keys():
            if key not in new.properties:
                operations.append({"op": "remove", "path": f"/{key}"})
            elif old.properties.get(key) != new.properties[key]:
                operations.append({"op": "add", "path": f"/{key}", "value": new.properties[key]})
        if operations:
            self.bench.patch(old, *operations)
        if old.status != new.status:
            action = {"active": "reactivate", "deactivated": "deactivate"}[new.status]
            assert self.bench.admin.image.post(f"/images/{old.id}/actions/{action}").status_code == 204

    def _path(self, name: str) -> str:
        return {"hidden": "os_hidden"}.get(name, name)

    def _plain(self, image: Image, name: str) -> Any:
        if name == "tags":
            return sorted(self.tag if tag == TAG else tag for tag in image.tags)
        return self._owner(image) if name == "owner" else getattr(image, name)

    def _owner(self, image: Image) -> str:
        mine: str = self.bench.admin.current_project_id
        return self.others if image.owner == "theirs" else mine

    def make(self, image: Image, kind: str) -> None:
        if kind in BEYOND:
            return
        common = {"name": image.name, "visibility": image.visibility, "owner": self._owner(image), **image.properties}
        if image.status not in ("active", "deactivated"):
            left = record(self.bench, common)
            statement = "UPDATE images SET status = ?, updated_at = '2020-01-01 00:00:00' WHERE id = ?"
            change(self.sandbox, statement, image.status, left)
            return
        self.bench.make(self._content("any", "any"), **common)

    def _content(self, name: str, version: str) -> bytes:
        """What the site has under that name, published when it is asked for."""
        path = f"/{self.tag}-{name}-{version}.img".replace(" ", "_")
        local = self.bench.site.directory / path.lstrip("/")
        if not local.exists():
            self.bench.publish(path, f"{name} {version}")
        return local.read_bytes()

    def _source(self, name: str, version: str, checksum: bool) -> dict[str, str]:
        content = self._content(name, version)
        path = f"/{self.tag}-{name}-{version}.img".replace(" ", "_")
        sha256 = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.digests[sha256] = f"sha512:{hashlib.sha512(content).hexdigest()}"
        return {"url": self.bench.site.url + path, **({"checksum": sha256} if checksum else {})}

    def spoil(self, name: str, version: str, how: str | None) -> None:
        path = f"/{self.tag}-{name}-{version}.img".replace(" ", "_")
        right = self._content(name, version)
        wrong = right[:-1] + bytes([right[-1] ^ 1])
        (self.spoilt.add if how else self.spoilt.discard)(path)
        switches = {"gone": Switches(status=404), "wrong": Switches(contents=[wrong]), None: Switches(contents=[right])}
        self.bench.site.on(path, switches[how])

    def pass_days(self, days: int) -> None:
        """Only the days that are written on images can pass."""
        for image in self.images():
            since = image.properties.get(HIDDEN_SINCE, "")
            if re.fullmatch(r"\d{4}-\d\d-\d\d", since):
                earlier = (datetime.fromisoformat(since) - timedelta(days)).date().isoformat()
                self.put(image, by_hand(image, HIDDEN_SINCE, earlier))

    def run(self, told: Told, troubles: Mapping[int, str], at: int) -> None:
        """Run it; what breaks a law in one of its calls is raised at the end."""
        self._before_last = order = self._order(told)
        arguments = self._arguments(told)
        self.proxy.clear()
        running: list[Popen[str]] = []
        for number, trouble in troubles.items():
            self.seen[trouble] += 1
            others = self._arguments(replace(told, roll_back={}))
            self.proxy.add(self._rule(trouble, number, others, at, running))
        self.meddled = "by hand" in troubles.values()
        self._watch(order)
        if "kill" in troubles.values():
            with self.bench.start(*arguments) as process:
                running.append(process)
                said, _ = process.communicate(timeout=100)
            outcome = Outcome(process.returncode, said, "")
        else:
            outcome = self.bench.run(*arguments)
        self.proxy.clear()
        assert "Traceback" not in outcome.text, outcome.text
        self._judge(order)
        if self.broken:
            raise self.broken[0]
        if told.wrong in told.specs:
            assert (outcome.code, self._look()) == (1, dict(order.found)), outcome.text
        self.last = outcome

    def _rule(self, trouble: str, number: int, arguments: list[str], at: int, running: list[Popen[str]]) -> Rule:
        if trouble == "refuse":
            return Rule(WRITES, nth=number, **REFUSALS[at % len(REFUSALS)])
        if trouble in FAULTS:
            return Rule(WRITES, nth=number, **FAULTS[trouble])
        doing = {
            "kill": lambda: os.kill(running[0].pid, signal.SIGKILL),
            "other run": lambda: self._other_run(arguments),
            "by hand": lambda: self._meddle(at),
        }
        return Rule(WRITES, nth=number, before=doing[trouble])

    def _other_run(self, arguments: list[str]) -> None:
        other = replace(self.bench, clouds=self.clouds)
        with other.start(*arguments) as process:
            process.communicate(timeout=100)

    def _meddle(self, at: int) -> None:
        images = [image for image in self.images() if not is_pending(image)]
        if images:
            image = images[at % len(images)]
            self.put(image, by_hand(image, *HAND_EDITS[at * 7 % len(HAND_EDITS)]))

    def _watch(self, order: Order) -> None:
        """Judge after every call that writes, while no other one is let through."""

        def after() -> None:
            try:
                self._judge(order)
            except BaseException as broken:  # nothing that a thread of the proxy raises gets to the test by itself
                self.broken.append(broken)
            finally:
                self.lock.release()

        self.proxy.add(Rule(WRITES, times=None, before=lambda: self.lock.acquire(timeout=120), after=after))

    def _judge(self, order: Order) -> None:
        now = self._look()
        before, self.known = self.known, now
        self.seen.update(judge(order, before, now, meddled=self.meddled))

    def _order(self, told: Told) -> Order:
        """Write the definitions, and look at the cloud before the run."""
        data = [spec.data(self._source) for spec in told.specs.values()]
        for each in data:
            for projects in ("members", "owner", "former_owners"):
                each.pop(projects, None)  # the projects of histories are in no Keystone
            each["versions"] = [{k: v for k, v in version.items() if v is not None} for version in each["versions"]]
        self.bench.define(*data)
        definitions = {each.name: each for each in load(str(self.bench.directory / "images")).definitions}
        if told.wrong in told.specs:
            self.bench.define(*({**each, "nonsense": 1} if each["name"] == told.wrong else each for each in data))
        self.consumers.forbidden = told.uses is None
        self.consumers.used.servers = dict(told.uses or {})
        self.known = {}
        self.known = self._look()
        return Order(
            definitions,
            replace(told.policy, tag=self.tag),
            datetime.now(UTC).date(),
            told.uses,
            self.known,
            only=None if told.only is None else frozenset({told.only}),
            wrong=frozenset(told.specs if told.wrong in told.specs else ()),
            digests=self.digests,
            roll_back=told.roll_back,
        )

    def _arguments(self, told: Told) -> list[str]:
        policy = told.policy
        for name, version in told.roll_back.items():
            hiding = ["--hidden-visibility", policy.hidden_visibility, *(["--use-os-hidden"] * policy.use_os_hidden)]
            return ["rollback", name, "--yes", *hiding, *(["--to", version] if version else [])]
        values = {
            "--outdated": policy.outdated,
            "--grace": policy.grace,
            "--orphans": policy.orphans,
            "--unknown-usage": policy.unknown_usage,
            "--max-deletes": policy.max_deletes,
            "--hidden-visibility": policy.hidden_visibility,
            **({"--filter": f"^{re.escape(told.only)}$"} if told.only else {}),
        }
        flags = {
            "--use-os-hidden": policy.use_os_hidden,
            "--latest": policy.latest,
            "--keep": policy.keep,
            "--force": policy.force,
        }
        return [*(str(each) for pair in values.items() for each in pair), *(name for name, on in flags.items() if on)]

    def settles(self, told: Told) -> None:
        """Run it without troubles, and see that a second run has nothing to do."""
        told = replace(told, policy=replace(told.policy, max_deletes=1000), only=None, wrong=None)
        self.run(told, {}, 0)
        if self.spoilt:
            assert self.last.code in (0, 1), self.last.text
            return
        assert self.last.code == 0, self.last.text
        if lost_or_twins(self._before_last, self._look()):
            self.run(told, {}, 0)
        plan = self.bench.run("plan", "--exit-code", *self._arguments(told))
        assert (plan.code, "no changes" in plan.out) == (0, True), plan.text
        settled(self._before_last, self._look())


def _place(image: Image) -> tuple[str, ...]:
    """An order that is the same whenever the same history is run: ids and times are not."""
    properties = image.properties
    known = (properties.get("image_name", ""), properties.get("internal_version", ""))
    return (*known, image.name, image.visibility, image.status, image.id)
