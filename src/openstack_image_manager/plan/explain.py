"""Explain the plan of one definition: the place of each build, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import GONE, Image
from openstack_image_manager.plan import matching, ownership, retention
from openstack_image_manager.plan.definition_plan import Builds, Standing
from openstack_image_manager.plan.diff import reasons_for
from openstack_image_manager.plan.model import Change, Create, Plan, Policy, Role
from openstack_image_manager.plan.retention import Usage
from openstack_image_manager.plan.rotation import LineUp
from openstack_image_manager.plan.serialize import change_data

Said = tuple[str, str]  # what it is about, and what there is to say


@dataclass(frozen=True, slots=True)
class Build:
    """One build, or one more image of it: what it is, and what the plan does about it."""

    version: str
    name: str
    id: str | None
    said: tuple[Said, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A definition in one cloud. `said`: what holds for all of its builds."""

    definition: str
    said: tuple[Said, ...]
    builds: tuple[Build, ...]


def explain(
    definition: Definition, plan: Plan, images: Sequence[Image], policy: Policy, today: date, usage: Usage
) -> Explanation:
    """The plan of one definition with its reasons. `plan`, `images`, `policy`: as the plan was made."""
    changes = [change for change in plan.changes if change.group == definition.name]
    findings = [f for f in plan.findings if f.subject == definition.name]
    told = [(finding.level, finding.message) for finding in findings]
    if any(level == "error" for level, _ in told) or not definition.offered:
        return Explanation(definition.name, (("left alone", "nothing is changed, whatever it is"), *told), ())
    known = {definition.name: definition}
    its = [(key[1], image) for image in images if image.status not in GONE and (key := matching.identify(image, known))]
    found = [(build, image) for build, image in its if matching.belongs(image, definition, policy.project)]
    # Of the images of former owners there are only those that the plan takes.
    given = [(build, image) for build, image in its if (build, image) not in found]
    taken, _ = ownership.choose(definition, given, ())
    found += [(build, each.believed) for build, each in taken.items()]
    found = [(build, ownership.believed(image, policy.project)) for build, image in found]
    standing = Builds(definition, policy, today, usage).standing(found)
    if standing is None:
        return Explanation(definition.name, tuple(told), ())
    theirs = {each.found.id: each.found for each in taken.values()}
    return Explanation(
        definition.name,
        (*_rules(definition, standing.line, policy, today), *told),
        (*_builds(definition, standing, changes, theirs), *_others(standing, changes)),
    )


def _rules(definition: Definition, line: LineUp, policy: Policy, today: date) -> list[Said]:
    validity = {**definition.meta, **line.newest.meta}.get("uuid_validity")
    said = [("names", "multi: the newest build has the plain name" if definition.multi else "each version has its own")]
    if not definition.enable and not policy.force:
        said.insert(0, ("disabled", "enable is false: nothing of what follows is done without --force"))
    said.append(("current", f"{line.current}: {_why_current(definition, line)}"))
    said.append(("retention", retention.rule(validity, today)))
    said.append(("outdated", f"builds beyond that go as far as {policy.outdated} (--outdated)"))
    return said


def _why_current(definition: Definition, line: LineUp) -> str:
    if line.current in line.ahead:
        return "it is in the cloud, and newer than every defined version"
    if line.current in line.pins:
        return f"a rollback made it current in place of {line.pins[line.current]}"
    if line.current != line.newest.version:
        return f"{line.newest.version} is newer, but a rollback took it back"
    return "the newest version that is defined" if definition.multi else "the newest version"


def _builds(
    definition: Definition, standing: Standing, changes: Sequence[Change], taken: Mapping[str, Image]
) -> list[Build]:
    """`taken`: images of former owners, as they are, by their ids."""
    made = []
    for build in standing.line.order:
        image, role = standing.images.get(build), standing.roles[build]
        own = tuple(change for change in changes if _is_about(change, build, image))
        usable = standing.usable.get(build)
        name = taken.get(usable.id, usable).name if usable else naming.image_name(definition, build, role.newest)
        said = [("place", _place(standing.line, build, role)), *_there(standing, build, image)]
        if usable and usable.id in taken:
            said.append(("owner", f"given over by its former owner {taken[usable.id].owner}"))
        said.append(("name", _name(definition, standing, build, role, usable)))
        said.append(("visibility", _visibility(standing, build, role)))
        said.append(("stage", f"{role.stage.name.lower()}: {role.why}"))
        made.append(Build(build, name, image.id if image else None, tuple(said), own))
    return made


def _others(standing: Standing, changes: Sequence[Change]) -> list[Build]:
    """Images that stand for no build: second ones, and what interrupted runs left."""
    others = [(build, image, f"{standing.images[build].id} stands for this version") for build, image in standing.twins]
    others += [
        (build, image, f"it is {image.status}, and was left by an interrupted run")
        for build, image in standing.images.items()
        if build not in standing.roles
    ]
    return [
        Build(build, image.name, image.id, (("place", why),), tuple(c for c in changes if _is_about(c, "", image)))
        for build, image, why in others
    ]


def _is_about(change: Change, build: str, image: Image | None) -> bool:
    if isinstance(change, Create):
        return change.version.version == build
    return image is not None and change.found.id == image.id


def _place(line: LineUp, build: str, role: Role) -> str:
    if role.newest:
        return "the current build"
    if build in line.bad:
        return f"taken back by a rollback on {role.rolled_back}: it takes no place"
    if build in line.withdrawn:
        return "withdrawn in the definition: it takes no place"
    if build in line.ahead:
        return "newer than every defined version: left as it is"
    number = line.rank(build)
    return f"{number} build{'' if number == 1 else 's'} before it"


def _there(standing: Standing, build: str, image: Image | None) -> list[Said]:
    defined = "defined" if build in standing.line.defined else "no longer defined"
    if image is None:
        return [("is", f"{defined}, and not in the cloud")]
    state = image.status if build in standing.usable else f"{image.status}, and not to be published"
    return [("is", f"{defined}, and {state} in the cloud")]


def _name(definition: Definition, standing: Standing, build: str, role: Role, image: Image | None) -> str:
    wanted = naming.image_name(definition, build, role.newest)
    found = image or Image(wanted, role.visibility)
    return f"{wanted}: {reasons_for(definition, standing.line.current, role, found, found)['name']}"


def _visibility(standing: Standing, build: str, role: Role) -> str:
    seen = role.visibility + (", hidden" if role.hidden else "")
    version = standing.line.defined.get(build)
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


def _said(said: Sequence[Said]) -> list[Mapping[str, str]]:
    return [{"about": about, "text": text} for about, text in said]
