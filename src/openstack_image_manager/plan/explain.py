"""Explain the plan of one definition: the place of each build, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.humanize import count
from openstack_image_manager.model import GONE, Image
from openstack_image_manager.plan import expiry, matching, ownership, retention
from openstack_image_manager.plan.definition_plan import DefinitionPlanner, DefinitionState
from openstack_image_manager.plan.diff import reasons_for
from openstack_image_manager.plan.model import Change, Create, Plan, Policy, Role
from openstack_image_manager.plan.retention import Usage
from openstack_image_manager.plan.rotation import BuildOrder
from openstack_image_manager.plan.serialize import change_data

NO_VERSIONS = "none is wanted, so nothing is changed; update adds the newest build of a definition with an upstream"
Statement = tuple[str, str]  # what it is about, and what there is to say


@dataclass(frozen=True, slots=True)
class Build:
    """One build, or one more image of it: what it is, and what the plan does about it."""

    version: str
    name: str
    id: str | None
    said: tuple[Statement, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A definition in one cloud. `said`: what holds for all of its builds."""

    definition: str
    said: tuple[Statement, ...]
    builds: tuple[Build, ...]


def explain(
    definition: Definition, plan: Plan, images: Sequence[Image], policy: Policy, today: date, usage: Usage
) -> Explanation:
    """The plan of one definition with its reasons. `plan`, `images`, `policy`: as the plan was made."""
    changes = [change for change in plan.changes if change.group == definition.name]
    findings = [f for f in plan.findings if f.subject == definition.name]
    statements = [(finding.level, finding.message) for finding in findings]
    if any(level == "error" for level, _ in statements):
        return Explanation(definition.name, (("left alone", "nothing is changed, whatever it is"), *statements), ())
    if not definition.offered:
        return Explanation(definition.name, (("no versions", NO_VERSIONS), *statements), ())
    known = {definition.name: definition}
    identified = [
        (key[1], image) for image in images if image.status not in GONE and (key := matching.identify(image, known))
    ]
    found = [(build, image) for build, image in identified if matching.belongs(image, definition, policy.project)]
    # Of the images of former owners there are only those that the plan takes.
    offered = [(build, image) for build, image in identified if (build, image) not in found]
    takeovers, _ = ownership.choose_takeovers(definition, offered, ())
    found += [(build, takeover.trusted) for build, takeover in takeovers.items()]
    found = [(build, ownership.without_untrusted(image, policy.project)) for build, image in found]
    state = DefinitionPlanner(definition, policy, today, usage).for_images(found).state(found)
    if state is None:
        return Explanation(definition.name, tuple(statements), ())
    originals = {takeover.found.id: takeover.found for takeover in takeovers.values()}
    return Explanation(
        definition.name,
        (*_rules(definition, state.order, policy, today), *statements),
        (*_builds(definition, state, changes, originals), *_others(state, changes)),
    )


def _rules(definition: Definition, order: BuildOrder, policy: Policy, today: date) -> list[Statement]:
    validity = {**definition.meta, **order.newest.meta}.get("uuid_validity")
    statements = [
        ("names", "multi: the newest build has the plain name" if definition.multi else "each version has its own")
    ]
    if not definition.enable and not policy.force:
        statements.insert(0, ("disabled", "enable is false: nothing of what follows is done without --force"))
    statements.append(("current", f"{order.current}: {_why_current(definition, order)}"))
    rule = retention.describe_rule(validity, today, definition.multi)
    if policy.retire_expired and (last := expiry.ended_on(definition, today)):
        rule = f"its provided_until was {last}, and --retire-expired is given: no build stays visible"
    statements.append(("retention", rule))
    statements.append(("outdated", f"older builds are handled by --outdated {policy.outdated}"))
    return statements


def _why_current(definition: Definition, order: BuildOrder) -> str:
    if order.current in order.ahead:
        return "it is in the cloud, and newer than every defined version"
    if order.current in order.pins:
        return f"a rollback made it current in place of {order.pins[order.current]}"
    if order.current != order.newest.version:
        return f"{order.newest.version} is newer, but was rolled back"
    return "the newest version that is defined" if definition.multi else "the newest version"


def _builds(
    definition: Definition, state: DefinitionState, changes: Sequence[Change], originals: Mapping[str, Image]
) -> list[Build]:
    """`taken`: images of former owners, as they are, by their ids."""
    made = []
    for build in state.order.builds:
        image, role = state.images.get(build), state.roles[build]
        own_changes = tuple(change for change in changes if _is_about(change, build, image))
        usable = state.usable.get(build)
        name = originals.get(usable.id, usable).name if usable else naming.image_name(definition, build, role.newest)
        statements = [("place", _place(state.order, build, role)), *_state(state, build, image)]
        if usable and usable.id in originals:
            statements.append(("owner", f"transferred from its former owner {originals[usable.id].owner}"))
        statements.append(("name", _name(definition, state, build, role, usable)))
        statements.append(("visibility", _visibility(state, build, role)))
        statements.append(("stage", f"{role.stage.name.lower()}: {role.why}"))
        made.append(Build(build, name, image.id if image else None, tuple(statements), own_changes))
    return made


def _others(state: DefinitionState, changes: Sequence[Change]) -> list[Build]:
    """Images outside of the builds: duplicates, and records that interrupted runs left."""
    others = [(build, image, f"duplicate of {state.images[build].id}") for build, image in state.duplicates]
    others += [
        (build, image, f"it is {image.status}, and was left by an interrupted run")
        for build, image in state.images.items()
        if build not in state.roles
    ]
    return [
        Build(build, image.name, image.id, (("place", why),), tuple(c for c in changes if _is_about(c, "", image)))
        for build, image, why in others
    ]


def _is_about(change: Change, build: str, image: Image | None) -> bool:
    if isinstance(change, Create):
        return change.version.version == build
    return image is not None and change.found.id == image.id


def _place(order: BuildOrder, build: str, role: Role) -> str:
    if role.newest:
        return "the current build"
    if build in order.bad:
        return f"rolled back on {role.rolled_back}: not counted"
    if build in order.withdrawn:
        return "withdrawn in the definition: not counted"
    if build in order.ahead:
        return "newer than every defined version: left as it is"
    return f"{count(order.rank(build), 'build')} before it"


def _state(state: DefinitionState, build: str, image: Image | None) -> list[Statement]:
    defined = "defined" if build in state.order.defined else "no longer defined"
    if image is None:
        return [("is", f"{defined}, and not in the cloud")]
    status = image.status if build in state.usable else f"{image.status}, and not to be published"
    return [("is", f"{defined}, and {status} in the cloud")]


def _name(definition: Definition, state: DefinitionState, build: str, role: Role, image: Image | None) -> str:
    wanted = naming.image_name(definition, build, role.newest)
    found = image or Image(wanted, role.visibility)
    return f"{wanted}: {reasons_for(definition, state.order.current, role, found, found)['name']}"


def _visibility(state: DefinitionState, build: str, role: Role) -> str:
    seen = role.visibility + (", hidden" if role.hidden else "")
    version = state.order.defined.get(build)
    if role.outdated:
        return f"{seen}: {role.why}"
    return f"{seen}: as the {'version' if version and version.visibility else 'definition'} says"


def data(explanation: Explanation) -> dict[str, Any]:
    """As plain values; without secrets."""
    return {
        "definition": explanation.definition,
        "said": _said(explanation.said),
        "builds": [
            {
                "version": build.version,
                "name": build.name,
                "id": build.id,
                "said": _said(build.said),
                "changes": [change_data(change) for change in build.changes],
            }
            for build in explanation.builds
        ],
    }


def _said(statements: Sequence[Statement]) -> list[Mapping[str, str]]:
    return [{"about": about, "text": text} for about, text in statements]
