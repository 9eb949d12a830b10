"""Describe how each version of each definition stands in one cloud: age, due date, drift, verification."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.model import Image
from openstack_image_manager.plan import age, markers, matching
from openstack_image_manager.plan.markers import UNVERIFIED
from openstack_image_manager.plan.matching import is_usable
from openstack_image_manager.plan.model import Create, Delete, Plan, Update

UNFINISHED = "unfinished"
HEAD = ("Image", "Version", "Built", "Age", "Due", "State", "Verified")
SIGNED = "Signed"  # one more column, where something is


@dataclass(frozen=True, slots=True)
class Row:
    """One version. `age` in days; `due`: the day a successor is needed, of builds that are current or have the name of
    the definition now. `state`: ok, missing, unfinished, differs, to be deleted, or disabled; `drift`: the fields that
    differ; `signed_days`: how old the signature is; `standing`: hidden, rolled back, or in place of a version that was
    rolled back."""

    definition: str
    name: str
    version: str
    id: str | None
    current: bool
    built: str | None
    age: int | None
    due: str | None
    overdue: bool
    state: str
    drift: tuple[str, ...]
    verified: str
    signed_by: str | None = None
    signed_at: str | None = None
    signed_days: int | None = None
    standing: str = ""

    @property
    def lacks(self) -> bool:
        """True for a current build that is not there, or not published yet."""
        return self.current and (self.id is None or self.state == UNFINISHED)

    @property
    def late(self) -> str:
        """Why the build is overdue; empty when it is not."""
        if not self.overdue or self.built is None or self.age is None:
            return ""
        today = date.fromisoformat(self.built) + timedelta(days=self.age)
        passed = self.due and self.due < today.isoformat()
        why = f"a newer build was due on {self.due}" if passed else "which is older than --max-age"
        return f"overdue: built {self.built}, {why}"

    @property
    def words(self) -> str:
        """The state, and what it means."""
        if self.lacks:
            return f"{self.state}: the current build"
        words = f"{self.state}: {', '.join(self.drift)}" if self.drift else self.state
        return f"{words} ({self.standing})" if self.standing else words


def rows(
    plan: Plan, definitions: Iterable[Definition], images: Iterable[Image], today: date, max_age: int | None = None
) -> list[Row]:
    """A row for each version that is defined or in the cloud, in the order of the definitions, newest first. `max_age`:
    days after which a current build is overdue in any case."""
    known = {definition.name: definition for definition in definitions}
    missing = {name: [c for c in plan.changes if isinstance(c, Create) and c.group == name] for name in known}
    changes = {change.found.id: change for change in plan.changes if not isinstance(change, Create)}
    later = [change for change in plan.changes if isinstance(change, Update)]
    fields = {
        change.found.id: [f.field for c in later if c.found.id == change.found.id for f in c.fields] for change in later
    }
    result: list[Row] = []
    by_definition: dict[str, list[tuple[str, Image]]] = {name: [] for name in known}
    for image in images:
        if key := matching.identify(image, known):
            by_definition[key[0]].append((key[1], image))
    for name, definition in known.items():
        there = by_definition[name]
        here = [
            _row(definition, version, image, changes.get(image.id), fields.get(image.id, []), today, max_age)
            for version, image in there
            if is_usable(image)
        ]
        here += [_missing(c.definition, c.version, c.role.newest, c.leftover) for c in missing[name]]
        here += [
            _missing(definition, each.missing, True) for each in plan.behind if each.missing and each.definition == name
        ]
        result += sorted(here, key=lambda row: naming.version_key(row.version), reverse=True)
    return result


def _row(
    definition: Definition,
    version: str,
    image: Image,
    change: Update | Delete | None,
    drift: Sequence[str],
    today: date,
    max_age: int | None,
) -> Row:
    day = age.built(version, image.properties.get("image_build_date"))
    wanted = change.wanted.name if isinstance(change, Update) else image.name
    current = _is_current(definition, version, image, wanted) and not isinstance(change, Delete)
    serves = current or image.name == definition.name
    due = age.due(image.properties, day) if day and serves else None
    days = (today - day).days if day else None
    overdue = bool(due and today > due) or bool(serves and max_age is not None and days is not None and days > max_age)
    # What is to be deleted is hidden first, if it is not yet; that is no drift.
    drift = () if isinstance(change, Delete) else drift
    state = "differs" if drift else "to be deleted" if isinstance(change, Delete) else "ok"
    if markers.is_pending(image):
        state = UNFINISHED
    elif not definition.enable:
        state = "disabled"
    verified = image.properties.get(markers.VERIFIED, "unknown").removeprefix(markers.PENDING)
    if ":" in verified and not markers.verified_checksum(image):
        verified = "unknown"  # it was said of other bytes
    signed_by, signed_at = markers.signature(image)
    signed = age.built("", signed_at)
    return Row(
        definition=definition.name,
        name=image.name,
        version=version,
        id=image.id,
        current=current,
        built=day.isoformat() if day else None,
        age=days,
        due=due.isoformat() if due else None,
        overdue=overdue,
        state=state,
        drift=tuple(drift),
        verified="no" if verified == UNVERIFIED else verified,
        signed_by=signed_by or None,
        signed_at=signed_at or None,
        signed_days=(today - signed).days if signed else None,
        standing=_standing(image),
    )


def _standing(image: Image) -> str:
    """What a rollback or retention has made of an image that is as it should be."""
    if over := image.properties.get(markers.PINNED_OVER):
        return f"in place of {over}"
    if markers.ROLLED_BACK in image.properties:
        return "rolled back"
    return "hidden" if image.hidden or markers.HIDDEN_SINCE in image.properties else ""


def _is_current(definition: Definition, version: str, image: Image, name: str) -> bool:
    """True for the build of the plain name; of versions that stand side by side, for those defined and in sight."""
    if definition.multi:
        return name == definition.name
    return version in {each.version for each in definition.offered} and markers.HIDDEN_SINCE not in image.properties


def _missing(definition: Definition, version: Version, newest: bool, left: Image | None = None) -> Row:
    """A version that is not in the cloud; `left`: what an interrupted run left of it."""
    day = age.build_day(version)
    built = day.isoformat() if day else None
    state = "missing" if left is None else UNFINISHED
    name, current = naming.image_name(definition, version.version, newest), newest or not definition.multi
    return Row(definition.name, name, version.version, None, current, built, None, None, False, state, (), "")


def table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The rows in words, below their head."""
    if not any(row.signed_by for row in rows):
        return [HEAD, *(cells(row) for row in rows)]
    return [(*HEAD, SIGNED), *((*cells(row), _signed(row)) for row in rows)]


def _signed(row: Row) -> str:
    return f"{row.signed_days} d ago" if row.signed_days is not None else "yes" if row.signed_by else ""


def cells(row: Row) -> tuple[str, ...]:
    """A row in words, below HEAD."""
    days = "" if row.age is None else f"{row.age} d"
    due = f"{row.due or ''}{' OVERDUE' if row.overdue else ''}".strip()
    return row.name, row.version, row.built or "unknown", days, due, row.words, row.verified[:40]


def data(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows as plain values."""
    return [asdict(row) for row in rows]
