"""Decide what happens to an outdated build, how far, and why. The rule of retention is here and nowhere else.

`uuid_validity` is SCS-0102's promise: `none` promises nothing once there is a newer build, `last-N` keeps the last N
(the current one counts), a date keeps all until that day, `notice` and `forever` keep all. Unset: the last three.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from openstack_image_manager.dates import as_day
from openstack_image_manager.humanize import count
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Policy, Role, Stage

DEFAULT_VISIBLE = 3
LAST = re.compile(r"last-0*(\d{1,9})")  # no cloud has more images; a longer number is not valid
STILL_DEFINED = "still defined"
NOT_DEFINED = "its version is no longer defined"
OUTDATED = "older than the visible builds"
WITHDRAWN = "withdrawn in the definition"
WIDEST_FIRST = ("public", "community", "shared", "private")
Usage = Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts that decide about one build. `rank`: 0 is the current one; `visible`: how many stay visible, None: all.

    `uses`: servers, volumes and snapshots made from it, None: unknown. `hidden_since`: the day it was hidden.
    `bad`: the definition was rolled back from this build; `withdrawn`: the definition says so of its version;
    `ahead`: it is newer than every defined version; `retired`: the last day of its definition, whose images are
    retired: then `visible` says how many ids are promised to stay."""

    rank: int
    visible: int | None
    defined: bool = False
    multi: bool = True
    explicit: bool = False
    kept: bool = False
    protected: bool = False
    foreign: bool = False
    uses: int | None = None
    hidden_since: date | None = None
    bad: bool = False
    withdrawn: bool = False
    ahead: bool = False
    retired: date | None = None


def decide(situation: Situation, policy: Policy, today: date) -> tuple[Stage, str]:
    """The stage that the build may reach today, and what holds it there."""
    s = situation
    if not is_outdated(s):
        return Stage.KEEP, "not outdated"
    # A build that was rolled back from or withdrawn is hidden even where outdated ones stay as they are.
    asked = max(Stage[policy.outdated.upper()], Stage.HIDE if s.bad or s.withdrawn else Stage.KEEP)
    limit, why = _limit(s, asked, policy, today)
    return (limit, why) if limit < asked else (asked, cause(s))


def is_outdated(s: Situation) -> bool:
    """True for a build that no promise and no definition keeps visible."""
    if s.bad or s.withdrawn or s.retired:
        return True
    if s.visible is None or s.rank < s.visible or s.explicit or s.kept:
        return False
    # A version without rotation stays as long as it is defined.
    return s.multi or not s.defined


def cause(s: Situation) -> str:
    """Why a build is outdated, whatever limits what is done about it."""
    return _cause(s) or (OUTDATED if s.multi else NOT_DEFINED)


def _cause(s: Situation) -> str:
    """Why a build is hidden whatever its place; empty: for its place only."""
    if s.retired:
        return f"its provided_until was {s.retired}"
    return WITHDRAWN if s.withdrawn else "rolled back" if s.bad else ""


def _limit(s: Situation, asked: Stage, policy: Policy, today: date) -> tuple[Stage, str]:
    """How far an outdated build may go at most: whatever speaks against more than hiding it."""
    if s.defined and not s.retired:
        return Stage.HIDE, STILL_DEFINED
    if s.visible is None or s.kept or (s.retired and s.rank < s.visible):
        return Stage.HIDE, f"{_cause(s)}, but its id is promised to stay"
    if s.ahead:
        return Stage.HIDE, "newer than every defined version"
    if s.protected:
        return Stage.HIDE, "protected"
    if s.foreign:
        return Stage.HIDE, "belongs to another project"
    if s.uses:
        return Stage.HIDE, f"in use by {s.uses}"
    if asked is Stage.DELETE and s.uses is None and policy.unknown_usage != "delete":
        return Stage.HIDE, "cannot check whether it is in use (--unknown-usage delete deletes it anyway)"
    if policy.grace and asked > Stage.HIDE:
        if s.hidden_since is None:
            return Stage.HIDE, f"to be hidden for {count(policy.grace, 'day')} first"
        left = policy.grace - (today - s.hidden_since).days
        if left > 0:
            due = today + timedelta(days=min(left, (date.max - today).days))
            return Stage.HIDE, f"hidden since {s.hidden_since}, due on {due}"
    return Stage.DELETE, ""


def narrower(first: str, second: str) -> str:
    """The visibility of the two that lets fewer people see the image."""
    return max(first, second, key=WIDEST_FIRST.index)


def visible_builds(uuid_validity: str | None, today: date) -> int | None:
    """How many of the newest builds stay visible; None: all of them."""
    if uuid_validity is None:
        return DEFAULT_VISIBLE
    if uuid_validity == "none":
        return 1
    if last := LAST.fullmatch(uuid_validity):
        return max(1, int(last.group(1)))
    until = as_day(uuid_validity)
    # notice, forever and invalid values: a mistyped promise is kept rather than broken.
    return DEFAULT_VISIBLE if until and until < today else None


def promised_builds(uuid_validity: str | None, today: date) -> int | None:
    """How many of the newest builds keep their ids once the definition's time is over; None: all of them."""
    until = as_day(uuid_validity)
    return 0 if uuid_validity == "none" or (until and until < today) else visible_builds(uuid_validity, today)


def describe_rule(uuid_validity: str | None, today: date, multi: bool = True) -> str:
    """Describe what visible_builds makes of a value, and why."""
    if uuid_validity is None and not multi:
        return "no uuid_validity: a version stays visible as long as it is defined"
    visible = visible_builds(uuid_validity, today)
    if uuid_validity is None:
        return f"no uuid_validity: the newest {visible} builds stay visible"
    if visible is None:
        until = f" until {day}" if (day := as_day(uuid_validity)) else ""
        return f"uuid_validity {uuid_validity}: all builds stay visible{until}"
    builds = "only the current build stays" if visible == 1 else f"the newest {visible} builds stay"
    over = ", a day that has passed" if as_day(uuid_validity) else ""
    return f"uuid_validity {uuid_validity}{over}: {builds} visible"


def promise(properties: Mapping[str, str], rank: int, today: date) -> str | None:
    """The promise on an image without definition that keeps it; None: there is none. `rank`: 0 is the
    newest of its kind. A date in `provided_until` that has passed ends what `last-N` promises."""
    validity, provided = properties.get("uuid_validity"), properties.get("provided_until")
    for name, value in (("uuid_validity", validity), ("provided_until", provided)):
        until = as_day(value)
        if value in ("notice", "forever") or (until and until >= today):
            return f"its {name} is {value}"
    if validity is None or validity == "none" or as_day(validity):
        return None
    last, ended = LAST.fullmatch(validity), as_day(provided) is not None
    if last is None:
        return f"its uuid_validity is {validity}, which is not a valid value"
    return f"its uuid_validity is {validity}" if rank < int(last[1]) and not ended else None


def hide(
    visibility: str, hidden: bool, hidden_visibility: str = "community", use_os_hidden: bool = False
) -> tuple[str, bool]:
    """(visibility, os_hidden) of a hidden image: a public one leaves the public list, a private or shared one gets
    os_hidden; no one who did not see the image before sees it after."""
    if visibility == "public":
        return ("public", True) if use_os_hidden else (hidden_visibility, hidden)
    return visibility, hidden or use_os_hidden or visibility != "community"


def is_foreign(image: Image, policy: Policy, owner: str | None) -> bool:
    """True for an image of another project; `owner`: the project that the definition gives its images to."""
    return policy.project is not None and image.owner not in (policy.project, owner)


def situation_of(
    image: Image | None, rank: int, visible: int | None, policy: Policy, usage: Usage, owner: str | None = None
) -> Situation:
    """The facts about an image for the rule of retention; None: it is not in the cloud yet. `owner`: the project that
    the definition gives its images to."""
    if image is None:
        return Situation(rank, visible)
    return Situation(
        rank,
        visible,
        protected=image.protected,
        foreign=is_foreign(image, policy, owner),
        uses=usage(image.id),
        hidden_since=as_day(image.properties.get(markers.HIDDEN_SINCE)),
    )


def hidden_since(image: Image | None, stage: Stage, keeps: bool, today: date) -> str | None:
    """The day to keep on the image: the one that is there already, or today. `keeps`: it stays hidden."""
    recorded = image.properties.get(markers.HIDDEN_SINCE) if image else None
    if stage >= Stage.HIDE:
        return recorded if as_day(recorded) else today.isoformat()
    return recorded if keeps else None


def is_hidden(image: Image) -> bool:
    """True for an image that was hidden before and still is: hiding again what became private or shared by that would
    change it once more."""
    return markers.HIDDEN_SINCE in image.properties and (image.visibility != "public" or image.hidden)


def outdated_image(image: Image, role: Role, name: str, properties: dict[str, str]) -> Image:
    """The outdated image in its stage; never visible to more people than before."""
    return replace(
        image,
        name=name,
        properties=properties,
        visibility=narrower(image.visibility, role.visibility),
        hidden=image.hidden or role.hidden,
        status="deactivated" if role.stage >= Stage.DEACTIVATE else image.status,
    )
