"""What a run was told, and what the images are by that: who stands for a build, and which build is the current one.

It is written from docs/life-cycle.md and shares nothing with `retention`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.model import Image
from openstack_image_manager.plan.matching import identify
from openstack_image_manager.plan.model import Policy

WIDTH = {"private": 0, "shared": 1, "community": 2, "public": 3}
VERIFIED, HIDDEN_SINCE = "image_manager_verified", "image_manager_hidden_since"
BYTES = "image_manager_bytes"
PINNED_OVER, ROLLED_BACK = "image_manager_pinned_over", "image_manager_rolled_back"
Cloud = Mapping[str, Image]


@dataclass(frozen=True)
class Order:
    """What one run was told, and the cloud that its plan was made for. `uses`: None where use can't be seen. `only`:
    what a filter leaves. `digests`: what Glance must have stored for a checksum, where that is something else."""

    definitions: Mapping[str, Definition]
    policy: Policy
    day: date
    uses: Mapping[str, int] | None
    found: Cloud
    project: str = "ours"
    only: frozenset[str] | None = None
    wrong: frozenset[str] = frozenset()
    digests: Mapping[str, str] = field(default_factory=dict)
    roll_back: Mapping[str, str] = field(default_factory=dict)
    known: dict[str, dict[str, Image]] = field(default_factory=dict, init=False, compare=False)  # see standing_for

    def key(self, image: Image) -> tuple[str, str] | None:
        """Which definition and version it is."""
        return identify(image, self.definitions)

    def left_alone(self, name: str) -> bool:
        """True for a definition whose images a run must not touch."""
        definition = self.definitions[name]
        disabled = not definition.enable and not self.policy.force
        filtered = self.only is not None and name not in self.only
        return disabled or filtered or name in self.wrong or not self.versions(name)

    def ours(self, image: Image) -> bool:
        """True for an image that a run may touch at all."""
        if self.policy.tag not in image.tags:
            return False
        key = self.key(image)
        owners = {self.definitions[key[0]].owner} if key else {each.owner for each in self.definitions.values()}
        return image.visibility == "public" or image.owner in {self.project, *owners}

    def offered(self, image: Image) -> bool:
        """True for an image that its definition may take from a former owner."""
        key = self.key(image)
        tagged = self.policy.tag in image.tags
        return tagged and key is not None and image.owner in self.definitions[key[0]].former_owners

    def owner_of(self, image: Image) -> str | None:
        """The project that the definition of an image gives its images to."""
        key = self.key(image)
        return self.definitions[key[0]].owner if key else None

    def is_wide(self, image: Image) -> bool:
        """True for an image that as many people see as its definition says."""
        key = self.key(image)
        assert key
        definition = self.definitions[key[0]]
        versions = {version.version: version for version in definition.versions}
        wanted = (key[1] in versions and versions[key[1]].visibility) or definition.visibility
        if wanted == image.visibility == "shared" and image.members is not None:
            return {each.project for each in definition.members or ()} <= image.members
        return WIDTH[image.visibility] >= WIDTH[wanted]

    def is_given(self, name: str) -> bool:
        """True for a definition whose images belong to another project, which can write most of what is on them."""
        return self.definitions[name].owner not in (None, self.project)

    def versions(self, name: str) -> dict[str, Version]:
        """The defined versions by their names, without those that are withdrawn."""
        return {version.version: version for version in self.definitions[name].versions if not version.withdrawn}

    def withdrawn(self, name: str) -> set[str]:
        """The versions that the definition withdraws."""
        return {version.version for version in self.definitions[name].versions if version.withdrawn}


def members(image: Image) -> frozenset[str]:
    """Whom it is shared with, where it is shared."""
    return image.members or frozenset()


def usable(image: Image) -> bool:
    """True for an image with bytes that nothing speaks against."""
    return image.status in ("active", "deactivated") and not (pending(image) and wrong_bytes(image))


def pending(image: Image) -> bool:
    return image.properties.get(VERIFIED, "").startswith("pending ")


def wrong_bytes(image: Image) -> bool:
    promise = image.properties.get(VERIFIED, "").removeprefix("pending ")
    return promise.endswith(" after import") and promise.split()[0] != f"{image.hash_algorithm}:{image.hash_value}"


def standing_for(order: Order, name: str) -> dict[str, Image]:
    """The builds of a definition that the cloud had, and the image that stands for each."""
    if name not in order.known:
        keys = [(order.key(i), i) for i in order.found.values() if order.ours(i)]
        mine = [(key[1], i) for key, i in keys if key and key[0] == name]
        stand = {build: i for build, i in mine if _may_stand(order, i) and not better(order, i)}
        order.known[name] = {build: i for build, i in stand.items() if build not in order.withdrawn(name)}
    return order.known[name]


def _may_stand(order: Order, image: Image) -> bool:
    return _usable_as(order, image) and evidence(order, image) != "none" and not unheard(order, image)


def unheard(order: Order, image: Image) -> bool:
    """True for an image of the owner that claims to be newer than every defined version: only the owner says so."""
    name, build = order.key(image) or ("", "")
    if not name or image.owner == order.project:
        return False
    return number(build) > max((number(version.version) for version in order.definitions[name].versions), default=())


def evidence(order: Order, image: Image) -> str:
    """What speaks for an image: of others only that Glance's digest is the checksum; of ours what was verified, too, of
    the bytes that it names."""
    key = order.key(image)
    version = order.versions(key[0]).get(key[1]) if key else None
    checksum, stored = version and version.checksum, f"{image.hash_algorithm}:{image.hash_value}"
    verified = image.properties.get(VERIFIED, "").removeprefix("pending ").split(" ")[0]
    if image.owner != order.project:
        owners = "owners" if key and image.owner == order.definitions[key[0]].owner else "none"
        if checksum == stored:
            return "right, of others" if order.is_wide(image) else owners
        return "none" if checksum else owners
    bound = image.properties.get(BYTES) == stored
    if checksum is None:
        return "right" if ":" in verified and bound else "unknown"
    if checksum == stored or (checksum == verified and bound):
        return "right"
    alike = checksum.startswith(f"{image.hash_algorithm}:") and image.disk_format == order.definitions[key[0]].format
    return "wrong" if (":" in verified and verified != checksum) or alike else "unknown"


BEST_FIRST = ("right", "unknown", "right, of others", "owners", "wrong", "none")


def better(order: Order, image: Image) -> bool:
    """True when another image stood for its version: whole, of better evidence, active, seen by more, not retired,
    older."""
    key = order.key(image)

    def standing(i: Image) -> tuple[bool, int, bool, int, bool, str, str]:
        seen_by = -WIDTH[i.visibility]
        known = BEST_FIRST.index(evidence(order, i))
        return not usable(i), known, i.status != "active", seen_by, HIDDEN_SINCE in i.properties, i.created_at, i.id

    me = order.found.get(image.id, image)
    if not usable(me):  # it was imported since
        me = image
    return key is not None and any(
        order.key(other) == key and standing(other) < standing(me)
        for other in order.found.values()
        if order.ours(other) and _usable_as(order, other) and other.id != image.id
    )


def _usable_as(order: Order, image: Image) -> bool:
    """True for a usable image that was not left unpublished without the checksum that its version has by now, or
    without a version."""
    key = order.key(image)
    version = order.versions(key[0]).get(key[1]) if key else None
    if not pending(image):
        return usable(image)
    promise = image.properties[VERIFIED].removeprefix("pending ")
    broken = version is None or (version.checksum and promise.split()[0] != version.checksum)
    return usable(image) and not broken


def bad(order: Order, name: str) -> frozenset[str]:
    """The builds that were rolled back from, or passed over by that."""
    return _rollback(order, name)[1]


def current(order: Order, name: str) -> str:
    """The build that should have the plain name: the newest that is defined, unless a rollback says otherwise, or the
    cloud is ahead; empty: there is no good one."""
    return _rollback(order, name)[0]


def _rollback(order: Order, name: str) -> tuple[str, frozenset[str]]:
    """From docs/life-cycle.md: a build that was rolled back to is current until the definition has a version newer than
    the one that it replaces; what was bad stays bad."""
    defined = order.versions(name)
    there = standing_for(order, name)
    newest = max(defined, key=number)
    if not order.definitions[name].multi:
        return newest, frozenset()
    marked = {build: i.properties for build, i in there.items() if i.owner == order.project}  # others could write it
    over = {build: properties[PINNED_OVER] for build, properties in marked.items() if properties.get(PINNED_OVER)}
    pins = {build: pin for build, pin in over.items() if number(pin) >= number(newest)}
    passed = {build for build, properties in marked.items() if ROLLED_BACK in properties}
    for build, pin in pins.items():
        passed |= {each for each in {*defined, *there} if number(build) < number(each) <= number(pin)}
    later = ahead(order, name)
    named = {build for build in later if there[build].name == name}
    good = {*defined, *named, *(pin for pin in pins if number(pin) < number(newest))} - passed
    good = good or there.keys() - passed - later
    now = max(good, key=number, default="")
    if name in order.roll_back:
        served = now or newest
        if served not in there:  # users have the newest good one before it
            before = {build for build in there if number(build) < number(served) and build not in passed}
            served = max(before, key=number, default=served)
        back = {build for build in there if number(build) < number(served) and build not in passed}
        now = order.roll_back[name] or max(back, key=number, default=now)
        over = max(number(newest), number(served)) if newest in {*there, *passed} else number(served)
        passed |= {each for each in {*defined, *there} if number(now) < number(each) <= over}
    return now, frozenset(passed - {now})


def ahead(order: Order, name: str) -> set[str]:
    """The builds that are newer than all that the definition knows, and that it does not withdraw."""
    newest = max(map(number, order.versions(name)), default=number(""))
    return {build for build in standing_for(order, name) if number(build) > newest}


def is_behind(order: Order) -> bool:
    """True for a run that knows none of the newest builds of one of its definitions."""
    return any(ahead(order, name) and current(order, name) for name in order.definitions if not order.left_alone(name))


def number(version: str) -> tuple[int, ...]:
    """Versions of histories are numbers with dots; '' is before all."""
    return tuple(map(int, filter(None, version.split("."))))
