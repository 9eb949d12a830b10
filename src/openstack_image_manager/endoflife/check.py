"""Compare definitions with the releases of their distributions: what is missing, what has ended, what will."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.endoflife.releases import EOL, EndRule, Product, Release
from openstack_image_manager.model import Finding
from openstack_image_manager.plan import desired

Kind = Literal["missing", "ended", "ending", "provided_until", "older", "unknown"]
FINDINGS = ("missing", "ended")


@dataclass(frozen=True, slots=True)
class Rule:
    """Definitions with one of these `os_distro` (lower case), a name in which `name` is found and an os_version that
    fits `os_version` are images of `product`; None: of nothing that can be checked."""

    os_distro: frozenset[str]
    product: str | None
    name: re.Pattern[str] | None = None
    os_version: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is known about distributions. The first rule that fits counts. An image of one of `special_purposes` can
    end, but it is not what people mean by having a release. `notice`: days before an end at which it is told."""

    rules: tuple[Rule, ...]
    products: Mapping[str, Product]
    special_purposes: frozenset[str]
    notice: int


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to know. Missing releases and definitions past their end are findings, all else is a note. `day`: of
    the end, where it is known (YYYY-MM-DD)."""

    kind: Kind
    subject: str
    message: str
    product: str
    release: str | None = None
    day: str | None = None

    @property
    def is_finding(self) -> bool:
        """True if somebody must do something."""
        return self.kind in FINDINGS


@dataclass(frozen=True, slots=True)
class ReleaseUse:
    """A release that a definition has images of; `release` is None where its os_version does not tell."""

    definition: Definition
    product: Product
    os_version: str | None
    release: str | None


def catalogue(data: Mapping[str, Any]) -> Catalogue:
    """From plain values, as catalogue/endoflife.json has them."""
    rules = [
        Rule(frozenset(each["os_distro"]), each["product"], _pattern(each, "name"), _pattern(each, "os_version"))
        for each in data["rules"]
    ]
    products = {name: _product(name, each) for name, each in data["products"].items()}
    return Catalogue(tuple(rules), products, frozenset(data["special_purposes"]), data["notice"])


def _pattern(data: Mapping[str, Any], key: str) -> re.Pattern[str] | None:
    return re.compile(data[key]) if key in data else None


def _product(name: str, data: Mapping[str, Any]) -> Product:
    ends = tuple(EndRule(**each) for each in data.get("end", [{"take": EOL}]))
    offered = re.compile(data.get("offered", ".*"))
    return Product(
        name, data["label"], data["phase"], re.compile(data["release"]), offered, data.get("lts_only", False), ends
    )


def uses(known: Catalogue, definitions: Iterable[Definition]) -> list[ReleaseUse]:
    """The releases of each definition: of a multi image that of its newest version. Out of scope are definitions whose
    distribution is not in the catalogue."""
    return [use for definition in definitions for use in _uses(known, definition)]


def _uses(known: Catalogue, definition: Definition) -> Iterator[ReleaseUse]:
    versions = sorted(definition.offered, key=lambda each: naming.version_key(each.version), reverse=True)
    if definition.multi:
        versions = versions[:1]
    systems = [desired.os_version(definition, version) for version in versions]
    for system in dict.fromkeys(systems or [definition.meta.get("os_version")]):
        name = next((rule.product for rule in known.rules if _fits(rule, definition, system)), None)
        if name is not None:
            product = known.products[name]
            found = product.release.fullmatch(system or "")
            yield ReleaseUse(definition, product, system, found["release"] if found else None)


def _fits(rule: Rule, definition: Definition, system: str | None) -> bool:
    return (
        (definition.meta.get("os_distro") or "").lower() in rule.os_distro
        and (rule.name is None or rule.name.search(definition.name) is not None)
        and (rule.os_version is None or rule.os_version.fullmatch(system or "") is not None)
    )


def products_of(known: Catalogue, definitions: Iterable[Definition]) -> list[Product]:
    """The products that have to be asked for: those of definitions that are enabled."""
    return _products(uses(known, definitions))


def _products(its: Iterable[ReleaseUse]) -> list[Product]:
    return list({use.product.name: use.product for use in its if use.definition.enable}.values())


def check(
    known: Catalogue,
    definitions: Iterable[Definition],
    everything: Iterable[Definition],
    releases: Mapping[str, Sequence[Release]],
    today: date,
) -> list[Check]:
    """What there is to know about `definitions`, findings first. What counts as missing is what `everything` that is
    defined does not have. `releases`: by product; products that are not there are passed over."""
    ours, all_uses = uses(known, definitions), uses(known, everything)
    checks: list[Check] = []
    for product in _products(ours):
        if product.name not in releases:
            continue
        its = releases[product.name]
        checks += _missing(product, its, [use for use in all_uses if use.product == product], known, today)
        for use in ours:
            if use.product == product and use.definition.enable:
                checks += _check_definition(use, its, known.notice, today)
    return sorted(checks, key=lambda each: not each.is_finding)


def _missing(
    product: Product, releases: Sequence[Release], its: Sequence[ReleaseUse], known: Catalogue, today: date
) -> Iterator[Check]:
    """Releases with support that no definition has. One that is older than all that are defined is only noted: it may
    have been left out on purpose."""
    has = [use for use in its if not _is_special(use.definition, known)]
    defined = {use.release for use in has if use.release}
    others = {release.name for release in releases if not release.lts}
    interim = any(use.definition.enable and use.release in others for use in has)
    oldest = min(map(naming.version_key, defined), default=None)
    for release in releases:
        if not release.is_released(today) or release.is_over(today) or not product.offered.fullmatch(release.name):
            continue
        if product.lts_only and not release.lts and not interim:
            continue
        if oldest is None or any(release.name == name or release.name.startswith(f"{name}.") for name in defined):
            continue
        older = naming.version_key(release.name) < oldest
        until = f"until {release.end}" if release.end else "with no end announced"
        message = f"released on {release.released}, {product.phase} {until}; not defined"
        message += ", and older than all defined releases" if older else ""
        yield Check(
            "older" if older else "missing",
            f"{product.label} {release.name}",
            message,
            product.name,
            release.name,
            _iso(release.end),
        )


def _is_special(definition: Definition, known: Catalogue) -> bool:
    return (definition.meta.get("os_purpose") or "") in known.special_purposes


def _check_definition(use: ReleaseUse, releases: Sequence[Release], notice: int, today: date) -> Iterator[Check]:
    product, name = use.product, use.definition.name
    release = next((each for each in releases if each.name == use.release), None)
    if release is None:
        text = f"no os_version, so its release of {product.label} is unknown"
        if use.os_version:
            text = f"os_version {use.os_version!r} is not a known release of {product.label}"
        yield Check("unknown", name, text, product.name)
        return
    what, end = f"the {product.phase} of {product.label} {release.name}", release.end
    if release.is_over(today):
        yield Check("ended", name, f"{what} ended{f' on {end}' if end else ''}", product.name, release.name, _iso(end))
        return
    if end is None:
        return
    days = (end - today).days
    if days <= notice:
        left = f"in {days} day{'' if days == 1 else 's'}" if days else "today"
        yield Check("ending", name, f"{what} ends on {end}, {left}", product.name, release.name, _iso(end))
    if message := _provided_until_problem(use.definition.meta.get("provided_until"), end):
        yield Check("provided_until", name, f"{message} {what}, {end}", product.name, release.name, _iso(end))


def _provided_until_problem(until: str | None, end: date) -> str | None:
    """What is odd about provided_until; `none` and `notice` promise no day."""
    if not until:
        return "has no provided_until; it could be the end of"
    later = until[:1].isdigit() and until[:10] > end.isoformat()
    return f"provided_until {until} is later than the end of" if later else None


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def findings(checks: Iterable[Check], failed: Mapping[str, str] | None = None) -> list[Finding]:
    """The checks as findings and notes; behind them the products whose data could not be had, and why."""
    told = [Finding("warning" if each.is_finding else "note", each.subject, each.message) for each in checks]
    return told + [Finding("error", product, message) for product, message in (failed or {}).items()]


def summary(checks: Sequence[Check], products: Sequence[Product], failed: int) -> str:
    """One line: how many distributions were looked at, and how much there is to do."""
    words = {"missing": "not defined", "ended": "past the end", "ending": "ending soon"}
    counts = ", ".join(f"{sum(each.kind == kind for each in checks)} {word}" for kind, word in words.items())
    unknown = f", {failed} of them unknown" if failed else ""
    return f"{len(products)} distribution{'' if len(products) == 1 else 's'}{unknown}: {counts}"


def data(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """The checks as plain values."""
    return [{**asdict(each), "finding": each.is_finding} for each in checks]
