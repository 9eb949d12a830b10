"""What may happen in a history: definitions as they are edited, and images as people change them by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Policy

TAG = Policy().tag
VISIBILITIES = ("public", "community", "shared", "private")
# One definition's name is the beginning of the other's, and without multi both can make an image of the same name.
BUILDS = {"Ubuntu": ("9", "10", "11", "24.04"), "Ubuntu 24.04": ("1", "2", "9", "10", "11")}
Source = Callable[[str, str, bool], Mapping[str, Any]]  # (name, version, with a checksum) to url and checksum


@dataclass(frozen=True)
class Build:
    """One version of a definition."""

    version: str
    visibility: str | None = None
    hidden: bool | None = None
    checksum: bool = True
    withdrawn: bool | None = None


@dataclass(frozen=True)
class Spec:
    """One definition as it is now; its builds in the order in which they were added."""

    name: str
    builds: tuple[Build, ...]
    multi: bool = True
    visibility: str = "public"
    status: str = "active"
    keep: bool = False
    enable: bool = True
    separator: str = " "
    min_ram: int = 0
    uuid_validity: str | None = None
    os_purpose: str | None = "generic"
    members: tuple[str, ...] | None = None
    owner: str | None = None
    former_owners: tuple[str, ...] = ()

    def data(self, source: Source) -> dict[str, Any]:
        """The definition as it stands in a file."""
        meta = {"uuid_validity": self.uuid_validity, "os_purpose": self.os_purpose}
        return {
            "name": self.name,
            "format": "qcow2",
            "multi": self.multi,
            "visibility": self.visibility,
            "status": self.status,
            "keep": self.keep,
            "enable": self.enable,
            "separator": self.separator,
            "min_ram": self.min_ram,
            **({} if self.members is None else {"members": list(self.members)}),
            # As names are resolved: without owner what is taken becomes ours, and nobody gives images to themselves.
            **({} if (owner := self.owner or ("ours" if self.former_owners else None)) is None else {"owner": owner}),
            "former_owners": [project for project in self.former_owners if project != owner],
            "meta": {key: value for key, value in meta.items() if value is not None},
            "versions": [
                {
                    "version": build.version,
                    "visibility": build.visibility,
                    "hidden": build.hidden,
                    "withdrawn": build.withdrawn,
                    **source(self.name, build.version, build.checksum),
                }
                for build in self.builds
            ],
        }

    def definition(self, source: Source) -> Definition:
        """The definition as the program has it."""
        return Definition.model_validate(self.data(source))

    def with_build(self, what: str, number: int) -> Spec:
        """The definition after one of its builds was edited; `number` says which."""
        pool = BUILDS[self.name]
        version = pool[number % len(pool)]
        there = {build.version: build for build in self.builds}
        if what == "add":
            return replace(self, builds=tuple({**there, version: Build(version)}.values()))
        if what == "add all":
            return replace(self, builds=tuple({**{each: Build(each) for each in pool}, **there}.values()))
        if what == "only":
            return replace(self, builds=(there.get(version, Build(version)),))
        if not self.builds:
            return self
        build = self.builds[number % len(self.builds)]
        if what == "remove":
            return replace(self, builds=tuple(each for each in self.builds if each is not build))
        edited = {
            "private": replace(build, visibility="private"),
            "shared": replace(build, visibility="shared"),
            "plain": Build(build.version),
            "hidden": replace(build, hidden=True),
            "withdraw": replace(build, withdrawn=True),
            "checksum": replace(build, checksum=not build.checksum),
        }[what]
        return replace(self, builds=tuple(edited if each is build else each for each in self.builds))


BUILD_EDITS = ("add", "add", "add all", "only", "only", "remove", "withdraw", "private", "shared", "plain", "hidden")
BUILD_EDITS = (*BUILD_EDITS, "checksum")
FIELD_EDITS: tuple[tuple[str, Any], ...] = (
    *(("visibility", each) for each in VISIBILITIES),
    *(("uuid_validity", each) for each in (None, "none", "none", "last-2", "2026-12-15", "2020-01-01", "notice")),
    ("uuid_validity", "forever"),
    *(("enable", each) for each in (True, False, True)),
    *(("keep", each) for each in (True, False, False)),
    *(("status", each) for each in ("active", "deactivated")),
    *(("multi", each) for each in (True, False, True)),
    *(("separator", each) for each in (" ", "-")),
    ("min_ram", 64),
    ("os_purpose", None),
    ("os_purpose", "generic"),
    *(("owner", each) for each in (None, "ours", "theirs", "theirs")),
    *(("former_owners", each) for each in ((), ("theirs",), ("theirs",))),
)
POLICY_EDITS: tuple[tuple[str, Any], ...] = (
    *(("outdated", each) for each in ("keep", "hide", "deactivate", "delete", "delete", "delete")),
    *(("grace", each) for each in (0, 0, 2, 30)),
    *(("orphans", each) for each in ("keep", "hide", "delete")),
    *(("unknown_usage", each) for each in ("keep", "delete")),
    *(("max_deletes", each) for each in (0, 1, 5, 5)),
    *(("hidden_visibility", each) for each in VISIBILITIES[1:]),
    *(("use_os_hidden", each) for each in (True, False)),
    *(("latest", each) for each in (True, False)),
    *(("keep", each) for each in (True, False, False)),
    *(("force", each) for each in (True, False, False)),
)

# What people do to an image by hand: a field or property of it; None: without.
HAND_EDITS: tuple[tuple[str, Any], ...] = (
    *(("name", each) for each in ("else", "Ubuntu", "Ubuntu 24.04")),
    *(("visibility", each) for each in VISIBILITIES),
    *(("hidden", each) for each in (True, False)),
    *(("status", each) for each in ("active", "deactivated")),
    *(("protected", each) for each in (True, False)),
    ("owner", "theirs"),
    ("owner", "ours"),
    ("tags", frozenset()),
    ("tags", frozenset({TAG})),
    ("tags", frozenset({TAG, "somebody"})),
    ("min_ram", 1),
    ("image_name", None),
    ("image_description", None),
    ("internal_version", None),
    *(("internal_version", each) for each in ("9", "10", "11")),
    ("os_purpose", "generic"),
    ("somebody", "was here"),
    ("uuid_validity", "forever"),
    ("provided_until", "2026-12-15"),
    (markers.RECORD, "nonsense"),
    (markers.RECORD, None),
    (markers.HIDDEN_SINCE, "2026-11-01"),
    (markers.HIDDEN_SINCE, "soon"),
    (markers.PINNED_OVER, None),
    (markers.PINNED_OVER, "10"),
    (markers.ROLLED_BACK, None),
    (markers.ROLLED_BACK, "2026-11-01"),
)
FIELDS = ("name", "visibility", "hidden", "status", "protected", "owner", "tags", "min_ram", "members")
# What people and other programs make: a second image of a version, or what a run that died has left.
MADE = ("twin", "private twin", "twin of others", "of the existing tool", "copy of nothing")
LEFT = ("queued", "uploading", "saving", "importing", "killed", "staged", "pending_delete")


def by_hand(image: Image, field: str, value: Any) -> Image:
    """The image after someone changed it."""
    if field == "status" and image.status not in ("active", "deactivated"):
        return image
    if field in FIELDS:
        return replace(image, **{field: value})
    properties = {**image.properties, field: value}
    return replace(image, properties={key: each for key, each in properties.items() if each is not None})


def another(image: Image, kind: str) -> Image:
    """Another image like this one, of that kind; the caller gives it its id and its times."""
    common = replace(image, protected=False, import_task=None)
    ours = {markers.VERIFIED, markers.RECORD, markers.RUN, *markers.MARKS}
    known = {key: value for key, value in image.properties.items() if key not in ours}
    if kind in LEFT:
        properties = {**known, markers.VERIFIED: markers.PENDING + "none"}
        status = "uploading" if kind == "staged" else kind
        size = image.size if kind == "staged" else None
        task = "a-task" if kind == "importing" else None
        common = replace(common, members=frozenset())
        empty = replace(common, size=size, virtual_size=None, hash_algorithm=None, hash_value=None, import_task=task)
        return replace(empty, status=status, properties=properties, visibility="private", hidden=False)
    if kind == "private twin":
        return replace(common, properties=known, visibility="private", hidden=False)
    if kind == "twin of others":
        return replace(common, properties=known, owner="theirs", visibility="public")
    if kind == "of the existing tool":
        known = {key: value for key, value in known.items() if key != "image_name"}
        return replace(common, properties=known)
    if kind == "copy of nothing":
        return replace(common, properties={"image_name": "Gone", "internal_version": "1"}, name="Gone")
    return replace(common, properties=known)
