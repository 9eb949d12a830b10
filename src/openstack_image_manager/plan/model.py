"""A plan as frozen types: what is to change, why, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

from openstack_image_manager.defaults import DEFAULT_TAG, Orphans, Outdated, UnknownUsage
from openstack_image_manager.model import FieldChange, Finding, Image

if TYPE_CHECKING:  # options are validated with Policy, before the definitions are loaded
    from openstack_image_manager.definitions.model import Definition, Version, Visibility

NO_NAME = "(no name)"


class Stage(IntEnum):
    """The stages of retention; each includes the ones before it."""

    KEEP = 0
    HIDE = 1
    DEACTIVATE = 2
    DELETE = 3


@dataclass(frozen=True, slots=True)
class Role:
    """The role of one version within its definition.

    `superseded`: another version is the same system. `outdated`: not one of the visible builds, for this `cause`.
    `stage`: the stage of retention, `why`: its reason, or what limits it. `hidden_since`: the day of hiding.
    After a rollback, `pinned_over`: the newer version that this one stays current in place of, `rolled_back`: the day
    on which another one took this one's place."""

    newest: bool
    superseded: bool
    outdated: bool
    stage: Stage
    why: str
    visibility: str
    hidden: bool
    hidden_since: str | None = None
    pinned_over: str | None = None
    rolled_back: str | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Create:
    """Bring a version into the cloud; `left` is what an interrupted run left of it, to be finished or replaced."""

    definition: Definition
    version: Version
    role: Role
    wanted: Image
    reason: str
    leftover: Image | None = None

    @property
    def group(self) -> str:
        """Changes of one group are made in order, and a failure ends them: the definition's name."""
        return self.definition.name

    @property
    def subject(self) -> str:
        """The name a reader knows the image by."""
        return self.wanted.name


@dataclass(frozen=True, slots=True)
class Update:
    """Make one image as wanted: `fields` is the whole difference. `proof`: the checksum that its bytes must have,
    `keeper`: the image that must have its name too before it gives it up; or else nothing is changed."""

    group: str
    found: Image
    wanted: Image
    fields: tuple[FieldChange, ...]
    reason: str
    proof: str | None = None
    keeper: Image | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names of the fields and properties that change."""
        return frozenset(field.field for field in self.fields)

    @property
    def is_copy(self) -> bool:
        """True if bytes have to be copied between stores; `without_copies` makes these updates of their own."""
        return "stores" in self.names

    @property
    def deactivates(self) -> bool:
        """True if the image cannot be used afterwards."""
        return "status" in self.names and self.wanted.status == "deactivated"

    @property
    def subject(self) -> str:
        """The name a reader knows the image by."""
        return self.found.name or NO_NAME


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete one image. `junk`: it was never published, and holds nothing that anyone could use. `keeper`: the image
    that is kept for its version, or the current one. Unless it has its name and visibility as planned, nothing is
    deleted."""

    group: str
    found: Image
    reason: str
    junk: bool = False
    keeper: Image | None = None

    @property
    def subject(self) -> str:
        """The name a reader knows the image by."""
        return self.found.name or NO_NAME


Change = Create | Update | Delete


@dataclass(frozen=True, slots=True)
class OutdatedDefinition:
    """A definition that the cloud has newer builds of than it knows; `missing`: the newest version that it knows, if
    that is not imported for this reason."""

    definition: str
    missing: Version | None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be done, in the order it is done within each definition."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()
    definitions: int = 0
    images: int = 0
    converts: Mapping[str, bool | None] = field(default_factory=dict)  # by format, None: unknown
    projects: Mapping[str, str] = field(default_factory=dict)  # names by ids, those that are known
    behind: tuple[OutdatedDefinition, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The options of the command line that decide a plan."""

    tag: str = DEFAULT_TAG
    latest: bool = False
    keep: bool = False
    force: bool = False
    hidden_visibility: Visibility = "community"
    use_os_hidden: bool = False
    outdated: Outdated = "hide"
    retire_expired: bool = False  # a definition past its provided_until has no current build
    grace: int = 0  # days from one stage to the next
    orphans: Orphans = "keep"
    end_promise: tuple[str, ...] = ()  # definitions that are gone, whose images are promised no longer
    unknown_usage: UnknownUsage = "keep"
    max_deletes: int = 5
    same_ids: bool = False  # a version has the same image id in every cloud
    project: str | None = None  # images of other projects are never deleted; None: of any


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one definition; `kind`: the class of its failure (errors.KINDS)."""

    definition: str
    state: Literal["ok", "failed", "skipped"]
    done: tuple[str, ...] = ()
    message: str = ""
    kind: str = ""
