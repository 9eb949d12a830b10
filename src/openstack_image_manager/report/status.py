"""Describe age, due date, drift and verification of each version in one cloud."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.model import Image
from openstack_image_manager.plan import age, markers, matching
from openstack_image_manager.plan.markers import UNVERIFIED
from openstack_image_manager.plan.matching import is_usable
from openstack_image_manager.plan.model import Create, Delete, Plan, Update

IN_PLACE_OF = "in place of "
UNFINISHED = "unfinished"
HEAD = ("Image", "Version", "Built", "Age", "Due", "State", "Verified")
SIGNED = "Signed"  # an extra column if any image has a signature


@dataclass(frozen=True, slots=True)
class Row:
    """One version. `age` in days; `due`: the day a successor is needed, of builds that are current or have the name of
    the definition now. `state`: ok, missing, unfinished, differs, to be deleted, or disabled; `drift`: the fields that
    differ; `signed_days`: how old the signature is; `standing`: hidden, rolled back, in place of a version that was
    rolled back, no longer defined."""

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
        """True for a current build that is missing or not published yet."""
        return self.current and (self.id is None or self.state == UNFINISHED)

    @property
    def late(self) -> str:
        """Return the reason why the build is overdue, else an empty text."""
        if not self.overdue or self.built is None or self.age is None:
            return ""
        today = date.fromisoformat(self.built) + timedelta(days=self.age)
        passed = self.due and self.due <= today.isoformat()
        why = f"a newer build was due on {self.due}" if passed else "which is older than --max-age"
        return f"overdue: built {self.built}, {why}"

    @property
    def words(self) -> str:
        """Return the state with details."""
        if self.lacks:
            return f"{self.state}: the current build"
        words = f"{self.state}: {', '.join(self.drift)}" if self.drift else self.state
        return f"{words} ({self.standing})" if self.standing else words


def rows(
    plan: Plan, definitions: Iterable[Definition], images: Iterable[Image], now: datetime, max_age: int | None = None
) -> list[Row]:
    """Return a row for each version that is defined or in the cloud, in the order of the definitions, newest first.
    `max_age`: days after which every current build is overdue."""
    by_name = {definition.name: definition for definition in definitions}
    creates = {name: [c for c in plan.changes if isinstance(c, Create) and c.group == name] for name in by_name}
    changes = {change.found.id: change for change in plan.changes if not isinstance(change, Create)}
    updates = [change for change in plan.changes if isinstance(change, Update)]
    fields = {
        change.found.id: [f.field for c in updates if c.found.id == change.found.id for f in c.fields]
        for change in updates
    }
    result: list[Row] = []
    by_definition: dict[str, list[tuple[str, Image]]] = {name: [] for name in by_name}
    for image in images:
        if key := matching.identify(image, by_name):
            by_definition[key[0]].append((key[1], image))
    for name, definition in by_name.items():
        existing = by_definition[name]
        definition_rows = [
            _row(definition, version, image, changes.get(image.id), fields.get(image.id, []), now, max_age)
            for version, image in existing
            if is_usable(image)
        ]
        definition_rows += [_missing(c.definition, c.version, c.role.newest, c.leftover) for c in creates[name]]
        definition_rows += [
            _missing(definition, behind.missing, True)
            for behind in plan.behind
            if behind.missing and behind.definition == name
        ]
        result += sorted(definition_rows, key=lambda row: naming.version_key(row.version), reverse=True)
    return result


def _row(
    definition: Definition,
    version: str,
    image: Image,
    change: Update | Delete | None,
    drift: Sequence[str],
    now: datetime,
    max_age: int | None,
) -> Row:
    moment = age.build_moment(version, image.properties.get("image_build_date"))
    day, today = moment.date() if moment else None, now.date()
    name = change.wanted.name if isinstance(change, Update) else image.name
    current = _is_current(definition, version, image, name) and not isinstance(change, Delete)
    is_served = current or image.name in definition.names
    due = age.outdated_from(image.properties, moment) if moment and is_served else None
    days = (today - day).days if day else None
    overdue = bool(due and moment and age.is_outdated(image.properties, moment, now)) or bool(
        is_served and max_age is not None and days is not None and days > max_age
    )
    # Images to be deleted are hidden first; that is not drift.
    drift = () if isinstance(change, Delete) else drift
    state = "differs" if drift else "to be deleted" if isinstance(change, Delete) else "ok"
    if markers.is_pending(image):
        state = UNFINISHED
    elif not definition.enable:
        state = "disabled"
    verified = image.properties.get(markers.VERIFIED, "unknown").removeprefix(markers.PENDING)
    if ":" in verified and not markers.verified_checksum(image):
        verified = "unknown"  # it belongs to other bytes
    signed_by, signed_at = markers.signature(image)
    signed_day = age.built("", signed_at)
    return Row(
        definition=definition.name,
        name=image.name,
        version=version,
        id=image.id,
        current=current,
        built=day.isoformat() if day else None,
        age=days,
        due=due.date().isoformat() if due else None,
        overdue=overdue,
        state=state,
        drift=tuple(drift),
        verified="no" if verified == UNVERIFIED else verified,
        signed_by=signed_by or None,
        signed_at=signed_at or None,
        signed_days=(today - signed_day).days if signed_day else None,
        standing=_standing(definition, version, image),
    )


def _standing(definition: Definition, version: str, image: Image) -> str:
    """Return the effect of a rollback or of retention, and whether the definition still has the version."""
    is_defined = any(version == each.version for each in definition.versions)
    return ", ".join(filter(None, (_effect(image), "" if is_defined else "no longer defined")))


def _effect(image: Image) -> str:
    if over := image.properties.get(markers.PINNED_OVER):
        return f"{IN_PLACE_OF}{over}"
    if markers.ROLLED_BACK in image.properties:
        return "rolled back"
    return "hidden" if image.hidden or markers.HIDDEN_SINCE in image.properties else ""


def _is_current(definition: Definition, version: str, image: Image, name: str) -> bool:
    """True for the build of the plain name; without multi, for all defined and visible versions."""
    if definition.multi:
        return name == definition.name
    return version in {each.version for each in definition.offered} and markers.HIDDEN_SINCE not in image.properties


def _missing(definition: Definition, version: Version, newest: bool, left: Image | None = None) -> Row:
    """Return the row of a version that is not in the cloud. `left`: the record of an interrupted import."""
    day = age.build_day(version)
    built = day.isoformat() if day else None
    state = "missing" if left is None else UNFINISHED
    name, current = naming.image_name(definition, version.version, newest), newest or not definition.multi
    return Row(definition.name, name, version.version, None, current, built, None, None, False, state, (), "")


def table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the head and the cells of each row."""
    if not any(row.signed_by for row in rows):
        return [HEAD, *(cells(row) for row in rows)]
    return [(*HEAD, SIGNED), *((*cells(row), _signed(row)) for row in rows)]


def _signed(row: Row) -> str:
    return f"{row.signed_days} d ago" if row.signed_days is not None else "yes" if row.signed_by else ""


def cells(row: Row) -> tuple[str, ...]:
    """Return the cells of a row below HEAD."""
    days = "" if row.age is None else f"{row.age} d"
    due = f"{row.due or ''}{' OVERDUE' if row.overdue else ''}".strip()
    return row.name, row.version, row.built or "unknown", days, due, row.words, row.verified[:40]


def data(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the rows as plain values."""
    return [asdict(row) for row in rows]
