"""Compare an approved plan with the one of now: what is to be done as approved, and what differs.

Changes are compared as plain values, in their order: a definition's changes are done when there are exactly these to do
now, and else none of them. A change that is not in the approved plan is never made.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.humanize import count
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.diff import FIELDS
from openstack_image_manager.plan.model import Plan, Policy
from openstack_image_manager.plan.serialize import change_data, plain

Data = Mapping[str, Any]
MOST = 3  # differences that are reported of one definition
DAY = "the day of the run"
AGAIN = "make a new plan"


@dataclass(frozen=True, slots=True)
class Approved:
    """An approved plan. `changes` as `change_data` gives them, `definitions`: the fingerprints by name, `day`: when it
    was made."""

    changes: Sequence[Data]
    definitions: Mapping[str, str]
    day: str

    def validate(self) -> None:
        """Look at all that is ever looked at. Raises KeyError, TypeError or AttributeError where something is missing
        or of the wrong kind, so that a damaged plan is not taken for a cloud that changed."""
        _groups(self.changes)
        _touched(self.changes)
        _differences(self.changes, self.changes, self.day, "")
        self.refusal(Policy())
        for change in self.changes:
            _named(change)
            _is_done(change, {}, self.day)
            self.definitions.get(change["definition"])

    def refusal(self, policy: Policy) -> str | None:
        """Why it deletes too much to be carried out, be it whole or in part; None: it does not."""
        deletes = [change for change in self.changes if change["action"] == "delete" and not change["junk"]]
        if len(deletes) <= policy.max_deletes:
            return None
        return (
            f"the approved plan deletes {count(len(deletes), 'image')}, and --max-deletes allows {policy.max_deletes}"
        )


def fingerprint(definition: Definition) -> str:
    """A short digest of all that the definition says, without its secrets."""
    data = definition.model_dump(mode="json", exclude={"password"})
    return hashlib.sha256(json.dumps(_public(data), sort_keys=True).encode()).hexdigest()[:16]


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _public(item) for key, item in value.items()}
    return [_public(item) for item in value] if isinstance(value, list) else plain(value)


def approved_part(
    approved: Approved, made: Plan, definitions: Iterable[Definition], images: Iterable[Image], day: str
) -> Plan:
    """The part of the plan `made` now, on `day`, that was approved, with a finding about everything else: an error for
    what was approved and is refused, a note for what was not approved. `images`: what the cloud has."""
    before, now = _groups(approved.changes), _groups(map(change_data, made.changes))
    prints = {change.name: fingerprint(change) for change in definitions}
    broken = {finding.subject for finding in made.findings if finding.level == "error"}
    images_by_id = {image.id: image for image in images}
    findings: list[Finding] = []
    refused: dict[str, str] = {}
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name, []), now.get(name, [])
        if not old:
            refused[name] = "is not in the approved plan"
            text = f"has changes that are not in the approved plan: they are not done; {AGAIN} for them"
            findings.append(Finding("note", name, text))
        elif [_key(change, approved.day) for change in old] != [_key(change, day) for change in new]:
            if not new and _are_done(old, images_by_id, approved.day):
                findings.append(Finding("note", name, "is already done, as approved"))
                continue
            refused[name] = "is not done"
            what = f"{_cause(name, old, new, approved, prints)} changed since the plan was made"
            what = "it is left alone because of its error" if name in broken else what
            details = _shortened(_differences(old, new, approved.day, day))
            findings.append(_refused(name, f"{what}: {details}"))
    findings += _dependent(before, now, refused)
    changes = tuple(change for change in made.changes if change.group not in refused)
    return replace(made, changes=changes, findings=(*made.findings, *findings))


def _cause(name: str, old: Sequence[Data], new: Sequence[Data], approved: Approved, prints: Mapping[str, str]) -> str:
    """Return the part that changed since the plan was made."""
    if prints.get(name) != approved.definitions.get(name):
        return "its definition"
    before, now = (
        {_target(change): change["checksum"] for change in changes if "checksum" in change} for changes in (old, new)
    )
    return "its checksum file" if any(before[key] != now[key] for key in before.keys() & now.keys()) else "the cloud"


def _refused(name: str, why: str) -> Finding:
    return Finding("error", name, f"not done: {why}; {AGAIN}")


def _groups(changes: Iterable[Data]) -> dict[str, list[Data]]:
    groups: dict[str, list[Data]] = defaultdict(list)
    for change in changes:
        groups[change["definition"]].append(change)
    return dict(groups)


def _dependent(
    before: Mapping[str, list[Data]], now: Mapping[str, list[Data]], refused: dict[str, str]
) -> list[Finding]:
    """Also refuse definitions that touch an image or a name of a `refused` one: both were approved together, and not
    one without the other. Adds them to `refused`."""
    touched = {name: _touched([*before.get(name, []), *now.get(name, [])]) for name in {*before, *now}}
    findings: list[Finding] = []
    waiting = list(refused)
    while waiting:
        refused_name = waiting.pop(0)
        for name in sorted(now.keys() - refused.keys()):
            if shared := touched[name] & touched[refused_name]:
                why = f"it has to do with '{min(shared)}', as has {refused_name}, which {refused[refused_name]}"
                findings.append(_refused(name, why))
                refused[name] = "is not done"
                waiting.append(name)
    return findings


def _touched(changes: Iterable[Data]) -> set[str]:
    """The ids and names of images that the changes are about: before, between and after."""
    names: set[str | None] = set()
    for change in changes:
        names |= {change["image"], change.get("id"), change.get("left"), change.get("name")}
        names |= {side for field in _fields(change).values() if field["field"] == "name" for side in _sides(field)}
    return {name for name in names if name}


def _fields(change: Data) -> dict[str, Data]:
    return {field["field"]: field for field in change.get("fields", ())}


def _sides(field: Data) -> tuple[Any, Any]:
    return field["before"], field["after"]


def _key(change: Data, day: str) -> str:
    """All that a change does. Reasons are for readers, and a mark of the day is another one tomorrow."""
    effect = dict(change)
    if change["action"] == "change":
        effect.pop("reason")
        effect["fields"] = [[field["field"], field["before"], _undated(field, day)] for field in change["fields"]]
    if change["action"] == "import":
        marks = {key: DAY for key, value in change["properties"].items() if key in markers.MARKS and value == day}
        effect["properties"] = {**change["properties"], **marks}
    return json.dumps(effect, sort_keys=True)


def _undated(field: Data, day: str) -> Any:
    return DAY if field["field"] in markers.MARKS and field["after"] == day else field["after"]


def _are_done(changes: Sequence[Data], images: Mapping[str, Image], day: str) -> bool:
    """True for what is in the cloud as it was approved. An image that was to be deleted, and is gone, was changed well
    enough before."""
    gone = {change["id"] for change in changes if change["action"] == "delete"} - images.keys()
    return all(change.get("id") in gone or _is_done(change, images, day) for change in changes)


def _is_done(change: Data, images: Mapping[str, Image], day: str) -> bool:
    if change["action"] == "import":
        name, key = change["name"], {"image_name": change["definition"], "internal_version": change["version"]}
        return any(
            image.name == name and key.items() <= image.properties.items() and not markers.is_pending(image)
            for image in images.values()
        )
    image = images.get(change["id"])
    if change["action"] == "delete" or image is None:
        return False
    return all(_undated(field, day) in (DAY, _value(image, field["field"])) for field in change["fields"])


def _value(image: Image, field: str) -> Any:
    return plain(getattr(image, field)) if field in FIELDS else image.properties.get(field)


def _shortened(differences: Sequence[str]) -> str:
    more = len(differences) - MOST
    return "; ".join(differences[:MOST]) + (f"; and {more} more" if more > 0 else "")


def _differences(before: Sequence[Data], now: Sequence[Data], then: str, day: str) -> list[str]:
    """Describe the differences."""
    old, new = ({_target(change): change for change in changes} for changes in (before, now))
    differences = [f"{_named(old[key])} was approved and is not to be done now" for key in old if key not in new]
    differences += [f"{_named(new[key])} is to be done now and was not approved" for key in new if key not in old]
    for key in old:
        if key in new and _key(old[key], then) != _key(new[key], day):
            differences += _details(old[key], new[key])
    return differences or ["the same in another order"]


def _target(change: Data) -> tuple[str, str]:
    return change["action"], change.get("id") or change.get("version") or ""


def _named(change: Data) -> str:
    """`the import of Ubuntu 24.04 (version 2)`."""
    if change["action"] == "import":
        return f"the import of {change['image']} (version {change['version']})"
    what = {"delete": "the deletion"}.get(change["action"], f"the change of {', '.join(_fields(change))}")
    return f"{what} of {change['image']} ({change['id']})"


def _details(old: Data, new: Data) -> list[str]:
    if old["action"] != "change":
        approved, current = ({**change, **change.get("properties", {}), "properties": None} for change in (old, new))
        keys = [key for key in {**approved, **current} if approved.get(key) != current.get(key)]
        if keys == ["checksum"]:
            return [f"{_named(new)}: checksum {approved.get('checksum')} was approved, {current.get('checksum')} now"]
        return [f"{_named(new)} has another {', '.join(keys)}"]
    approved, current = _fields(old), _fields(new)
    image = f"{new['image']} ({new['id']})"
    return [
        f"{image}: {name}: {_step(approved.get(name))} was approved, {_step(current.get(name))} now"
        for name in {**approved, **current}
        if name not in approved or name not in current or _sides(approved[name]) != _sides(current[name])
    ] or [f"{_named(new)} takes another proof"]


def _step(field: Data | None) -> str:
    if field is None:
        return "no change"
    return " → ".join("(none)" if side is None else str(side) for side in _sides(field))
