"""Small clouds, and runs that meet in them. Each is one kind of fault that was there once, or could be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.plan.model import Policy
from tests.histories.schedule import Schedule
from tests.histories.service import Json, Service, User
from tests.histories.together import Order, Together, first
from tests.histories.watch import Watch

NAME, TAG = "U", Policy().tag
GONE = "404"
HANDMADE = "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f"
DELETE = Policy(outdated="delete", unknown_usage="delete")
ROLLBACK = Policy(latest=True)
ONE = {"meta": {"uuid_validity": "none"}}  # one build stays in sight
PRIVATE: dict[str, Any] = {"visibility": "private", **ONE}
WITHDRAWN = "withdrawn" in Version.model_fields


@dataclass(frozen=True)
class Upstream:
    """Files to import."""

    folder: Path

    def bytes_of(self, name: str, version: str) -> bytes:
        return f"{name} {version}\n".encode() * 100

    def definition(self, *versions: str, name: str = NAME, checked: bool = True, **fields: Any) -> Definition:
        """A definition with these versions; `ids` names images of some, `withdrawn` those that were taken back. The
        upstream of GONE has disappeared."""
        ids, withdrawn = fields.pop("ids", {}), fields.pop("withdrawn", ())
        data = {"name": name, "format": "raw", "multi": True, "visibility": "public", **fields}
        return Definition.model_validate(
            {**data, "versions": [self._version(name, each, checked, ids, withdrawn) for each in versions]}
        )

    def _version(
        self, name: str, version: str, checked: bool, ids: dict[str, str], withdrawn: Iterable[str]
    ) -> dict[str, Any]:
        path, content = self.folder / f"{name}-{version}.raw", self.bytes_of(name, version)
        if version != GONE and not path.exists():
            path.write_bytes(content)
        its: dict[str, Any] = {"version": version, "url": path.as_uri()}
        if checked:
            its["checksum"] = f"sha512:{hashlib.sha512(content).hexdigest()}"
        if version in ids:
            its["id"] = ids[version]
        if version in withdrawn:
            its["withdrawn"] = True
        return its


@dataclass
class Situation:
    """A cloud, and the runs that meet there; `now`: the definitions as they are by now. `settles`: a further run can
    do all that they say."""

    service: Service
    orders: list[Order]
    now: tuple[Definition, ...]
    settles: bool = True

    def end(self) -> Callable[[Together], None]:
        """What judges the end of a history."""
        return self.watch.end if self.settles else lambda _: None

    @property
    def watch(self) -> Watch:
        return Watch(self.now)

    def make(self) -> Together:
        """The runs, not begun yet, in a cloud of their own."""
        return Together(self.service.copy(), self.orders, self.watch.step)


def cloud(*orders: Order, service: Service | None = None) -> Service:
    """What runs that followed one another have left."""
    service, now = service or Service(), 1000.0
    for order in orders:
        together = Together(service, [order], lambda *_: None)
        schedule = Schedule(first, now)
        together.go(schedule)
        assert together.outcomes[0].went_well, (str(order), together.outcomes[0], together.reporters[0].lines)
        now = schedule.now + 10
    return service


def plain(*definitions: Definition, word: str = "plain", **given: Any) -> Order:
    return Order(word, definitions, **given)


def delete(*definitions: Definition, word: str = "delete", **given: Any) -> Order:
    return Order(word, definitions, DELETE, **given)


def back(to: str, *definitions: Definition, word: str = "rollback", **given: Any) -> Order:
    return Order(word, definitions, ROLLBACK, ((NAME, to),), **given)


def managed(service: Service, image_id: str, version: str | None, data: bytes, **values: Any) -> Json:
    """An image that somebody made by hand as ours look."""
    known = {"image_name": NAME, "internal_version": version} if version else {"image_description": NAME}
    known |= {"tags": [TAG], "owner": "ours", "name": f"{NAME} ({version})"}
    merged = {**known, **values}
    return service.add(image_id, merged.pop("owner"), data, **{k: v for k, v in merged.items() if v is not None})


Make = Callable[[Upstream], Situation]
SITUATIONS: dict[str, Make] = {}


def situation(make: Make) -> Make:
    SITUATIONS[make.__name__.replace("_", " ")] = make
    return make


# Runs at the same moment.


@situation
def two_runs_rotate(up: Upstream) -> Situation:
    now = up.definition("1", "2")
    return Situation(cloud(plain(up.definition("1"))), [plain(now), plain(now, word="other")], (now,))


@situation
def a_run_meets_one_that_deletes(up: Upstream) -> Situation:
    """One hides the older build of a private definition while the other lists."""
    now = up.definition("1", "2", **PRIVATE)
    return Situation(cloud(plain(up.definition("1", **PRIVATE))), [plain(now), delete(now)], (now,))


@situation
def a_rotation_that_is_half_done_meets_one_that_deletes(up: Upstream) -> Situation:
    """The new build is published; the older one is still to be hidden."""
    now = up.definition("1", "2", **PRIVATE)
    service = cloud(plain(up.definition("1", **PRIVATE)), plain(now))
    older = next(image for image in service.images.values() if image["internal_version"] == "1")
    service.put(older, os_hidden=False, image_manager_hidden_since=None)
    return Situation(service, [plain(now), delete(now)], (now,))


@situation
def a_rollback_meets_a_run(up: Upstream) -> Situation:
    now = up.definition("1", "2", **PRIVATE)
    return Situation(cloud(plain(up.definition("1", **PRIVATE)), plain(now)), [plain(now), back("1", now)], (now,))


@situation
def a_rollback_meets_one_that_deletes(up: Upstream) -> Situation:
    now = up.definition("1", "2", **PRIVATE)
    return Situation(cloud(plain(up.definition("1", **PRIVATE)), plain(now)), [delete(now), back("1", now)], (now,))


@situation
def a_rollback_that_ends_meets_one_that_deletes(up: Upstream) -> Situation:
    now = up.definition("1", "2", **PRIVATE)
    service = cloud(plain(up.definition("1", **PRIVATE)), plain(now), back("1", now))
    return Situation(service, [delete(now), back("2", now)], (now,))


@situation
def a_public_rollback_meets_one_that_deletes(up: Upstream) -> Situation:
    now = up.definition("1", "2", **ONE)
    return Situation(cloud(plain(up.definition("1", **ONE)), plain(now)), [delete(now), back("1", now)], (now,))


@situation
def a_rollback_meets_one_with_os_hidden(up: Upstream) -> Situation:
    now = up.definition("1", "2", **ONE)
    policy = Policy(outdated="delete", unknown_usage="delete", use_os_hidden=True)
    runs = [
        Order("delete", (now,), policy),
        Order("rollback", (now,), Policy(latest=True, use_os_hidden=True), ((NAME, "1"),)),
    ]
    return Situation(cloud(plain(up.definition("1", **ONE)), Order("os_hidden", (now,), policy)), runs, (now,))


@situation
def a_run_meets_one_that_is_behind(up: Upstream) -> Situation:
    old, now = up.definition("1", **ONE), up.definition("1", "2", **ONE)
    return Situation(cloud(plain(old)), [plain(now), delete(old, word="behind")], (now,))


@situation
def a_filtered_run_meets_another(up: Upstream) -> Situation:
    other = up.definition("1", name="V")
    old, now = up.definition("1", **PRIVATE), up.definition("1", "2", **PRIVATE)
    runs = [plain(now, other, word="filtered", only=NAME), delete(now, other)]
    return Situation(cloud(plain(old, other)), runs, (now, other))


@situation
def three_runs_meet(up: Upstream) -> Situation:
    now = up.definition("1", "2", **PRIVATE)
    service = cloud(plain(up.definition("1", **PRIVATE)), plain(now))
    return Situation(service, [plain(now), delete(now), back("1", now)], (now,))


@situation
def users_rotate_while_one_rolls_back(up: Upstream) -> Situation:
    """Without the role admin, in a project of their own."""
    now, who = up.definition("1", "2", **PRIVATE), {"user": User("ours")}
    service = cloud(plain(up.definition("1", **PRIVATE), **who), plain(now, **who))
    return Situation(service, [delete(now, **who), back("1", now, **who)], (now,))


@situation
def a_shared_build_is_rolled_back(up: Upstream) -> Situation:
    fields: dict[str, Any] = {"visibility": "shared", "members": [{"project": "theirs"}], **ONE}
    now = up.definition("1", "2", **fields)
    return Situation(cloud(plain(up.definition("1", **fields)), plain(now)), [plain(now), back("1", now)], (now,))


@situation
def a_withdrawn_build_meets_one_that_does_not_know(up: Upstream) -> Situation:
    old, now = up.definition("1", "2", **ONE), up.definition("1", "2", withdrawn=("2",), **ONE)
    service = cloud(plain(up.definition("1", **ONE)), plain(old))
    return Situation(service, [delete(now), plain(old, word="behind")], (now,))


@situation
def a_withdrawn_build_meets_the_next_one(up: Upstream) -> Situation:
    old, now = up.definition("1", "2", **PRIVATE), up.definition("1", "2", "3", withdrawn=("2",), **PRIVATE)
    service = cloud(plain(up.definition("1", **PRIVATE)), plain(old))
    return Situation(service, [plain(now), delete(now)], (now,))


# The same with pages of one image. Another definition makes two of each listing, the visible and the hidden one.


def _beside(up: Upstream) -> tuple[Definition, Definition]:
    return up.definition("1", name="V", **PRIVATE), up.definition("1", "2", name="V", **PRIVATE)


def _paged(*orders: Order) -> Service:
    service = cloud(*orders)
    service.page = 1
    return service


@situation
def a_run_meets_one_that_deletes_on_pages_of_one(up: Upstream) -> Situation:
    old, now, (before, other) = up.definition("1", **PRIVATE), up.definition("1", "2", **PRIVATE), _beside(up)
    service = _paged(plain(old, before), plain(old, other))
    return Situation(service, [plain(now, other), delete(now, other)], (now, other))


@situation
def a_rotation_that_is_half_done_meets_one_that_deletes_on_pages_of_one(up: Upstream) -> Situation:
    now = up.definition("1", "2", **PRIVATE)
    service = _paged(plain(up.definition("1", **PRIVATE)), plain(now))
    older = next(image for image in service.images.values() if image["internal_version"] == "1")
    service.put(older, os_hidden=False, image_manager_hidden_since=None)
    return Situation(service, [plain(now), delete(now)], (now,))


@situation
def a_rollback_meets_a_run_on_pages_of_one(up: Upstream) -> Situation:
    old, now, (before, other) = up.definition("1", **PRIVATE), up.definition("1", "2", **PRIVATE), _beside(up)
    service = _paged(plain(old, before), plain(now, other))
    return Situation(service, [plain(now, other), back("1", now, other)], (now, other))


@situation
def a_rollback_meets_one_that_deletes_on_pages_of_one(up: Upstream) -> Situation:
    old, now, (before, other) = up.definition("1", **PRIVATE), up.definition("1", "2", **PRIVATE), _beside(up)
    service = _paged(plain(old, before), plain(now, other))
    return Situation(service, [delete(now, other), back("1", now, other)], (now, other))


@situation
def three_runs_meet_on_pages_of_one(up: Upstream) -> Situation:
    old, now, (before, other) = up.definition("1", **PRIVATE), up.definition("1", "2", **PRIVATE), _beside(up)
    service = _paged(plain(old, before), plain(now, other))
    return Situation(service, [plain(now, other), delete(now, other), back("1", now, other)], (now, other))


# One run, in a cloud that others had to do with.


@situation
def a_page_comes_twice(up: Upstream) -> Situation:
    now = up.definition("1", "2", **ONE)
    service = cloud(plain(up.definition("1", **ONE)), plain(now))
    service.page, service.overlap = 2, True
    managed(service, "more", "1", b"more" * 300, name="other", image_name="other", created_at="2020-01-01T00:00:00Z")
    return Situation(service, [delete(now)], (now,))


@situation
def behind_and_alone(up: Upstream) -> Situation:
    """The newest build is unknown to a run with older definitions."""
    last = {"meta": {"uuid_validity": "last-2"}}
    old, now = up.definition("1", "2", **last), up.definition("1", "2", "3", **last)
    return Situation(cloud(plain(old), plain(now)), [delete(old, word="behind")], (now,))


@situation
def behind_after_a_rollback(up: Upstream) -> Situation:
    """Of 1, 2 and 3, 2 was rolled back from; a stale copy knows 2 only."""
    one, two, now = up.definition("1"), up.definition("2"), up.definition("2", "3")
    service = cloud(plain(one), plain(two), back("1", two), plain(now))
    return Situation(service, [plain(two, word="behind")], (now,))


@situation
def a_rollback_to_a_build_known_by_its_name(up: Upstream) -> Situation:
    service, now = Service(), up.definition("2")
    managed(service, "by-name", None, up.bytes_of(NAME, "1"), name="U (1)", visibility="public")
    return Situation(cloud(plain(now), service=service), [back("1", now)], (now,))


@situation
def wrong_bytes_that_are_older(up: Upstream) -> Situation:
    service, now = Service(), up.definition("1")
    cloud(plain(now), service=service)
    managed(service, "wrong", "1", b"wrong" * 300, visibility="public", created_at="2020-01-01T00:00:00Z")
    return Situation(service, [delete(now)], (now,))


@situation
def a_public_image_of_others_beside_ours(up: Upstream) -> Situation:
    now = up.definition("1", visibility="community")
    service = cloud(plain(now))
    managed(service, "theirs", "1", b"theirs" * 300, owner="theirs", visibility="public", name=NAME)
    return Situation(service, [delete(now)], (now,))


@situation
def an_id_of_an_untagged_image(up: Upstream) -> Situation:
    service = cloud(plain(up.definition("1")))
    service.add(HANDMADE, "ours", up.bytes_of(NAME, "1"), name="router", visibility="private")
    now = up.definition("1", ids={"1": HANDMADE})
    return Situation(service, [delete(now)], (now,))


def _forged(up: Upstream, marks: dict[str, str], version: str = "1", **fields: Any) -> Situation:
    now = up.definition("1", owner="theirs", **fields)
    service = cloud(plain(now)) if version != "1" else Service()
    managed(service, "forged", version, b"forged" * 300, owner="theirs", visibility="private", name="zz", **marks)
    return Situation(service, [plain(now)], (now,))


@situation
def forged_verified(up: Upstream) -> Situation:
    checksum = up.definition("1").versions[0].checksum
    return _forged(up, {"image_manager_verified": f"pending {checksum} before import"})


@situation
def forged_without_a_mark(up: Upstream) -> Situation:
    return _forged(up, {})


@situation
def forged_rollback(up: Upstream) -> Situation:
    return _forged(up, {"image_manager_pinned_over": "2"}, "0.5")


@situation
def an_orphan_of_others(up: Upstream) -> Situation:
    now = up.definition("1")
    service = cloud(plain(now))
    gone = {"image_name": "Gone", "internal_version": "1"}
    managed(service, "theirs", "1", b"theirs" * 300, owner="theirs", visibility="public", **gone)
    return Situation(service, [Order("orphans", (now,), Policy(orphans="hide"))], (now,))


@situation
def a_rolled_back_build_has_a_public_duplicate_of_others(up: Upstream) -> Situation:
    now = up.definition("1", "2")
    service = cloud(plain(up.definition("1")), plain(now))
    managed(service, "theirs", "2", up.bytes_of(NAME, "2"), owner="theirs", visibility="public", name="U (2)")
    return Situation(service, [back("1", now)], (now,))


@situation
def an_unpublished_build_takes_no_place(up: Upstream) -> Situation:
    last = {"meta": {"uuid_validity": "last-2"}}
    now = up.definition("1", "3", **last)
    service = cloud(plain(up.definition("1", **last)), plain(now))
    verified = {"image_manager_verified": "pending none"}
    managed(service, "left", "2", up.bytes_of(NAME, "2"), visibility="private", **verified)
    return Situation(service, [plain(now)], (now,))


@situation
def a_build_whose_upstream_is_gone_takes_no_place(up: Upstream) -> Situation:
    last = {"meta": {"uuid_validity": "last-3"}}
    service = cloud(*(plain(up.definition(*versions, **last)) for versions in ("1", "12", "123")))
    now = up.definition(GONE, "405", **last)
    return Situation(service, [plain(now)], (now,), settles=False)
