"""Compare definitions with the releases of their distributions: missing, ended, and ending releases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from openstack_image_manager import humanize
from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.endoflife.releases import EOL, EndRule, Product, Release
from openstack_image_manager.model import Finding
from openstack_image_manager.plan import desired

Kind = Literal["missing", "ended", "ending", "provided_until", "older", "unknown"]
FINDINGS = ("missing", "ended")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that assigns definitions to a product.

    It matches definitions with one of these `os_distro` (lower case), a name that `name` finds, and an os_version that
    `os_version` matches. `product` None: these images cannot be checked.
    """

    os_distro: frozenset[str]
    product: str | None
    name: re.Pattern[str] | None = None
    os_version: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The known distributions.

    The first rule that matches applies. Images of `special_purposes` can end, but do not count as having a release.
    `notice`: days before an end at which it is reported.
    """

    rules: tuple[Rule, ...]
    products: Mapping[str, Product]
    special_purposes: frozenset[str]
    notice: int


@dataclass(frozen=True, slots=True)
class Check:
    """One result. Missing releases and definitions past their end are findings, all others are notes.

    `day`: the end of life, if known (YYYY-MM-DD).
    """

    kind: Kind
    subject: str
    message: str
    product: str
    release: str | None = None
    day: str | None = None

    @property
    def is_finding(self) -> bool:
        """Return True if someone must act."""
        return self.kind in FINDINGS


@dataclass(frozen=True, slots=True)
class ReleaseUse:
    """A release that a definition has images of; `release` is None if its os_version does not match one."""

    definition: Definition
    product: Product
    os_version: str | None
    release: str | None


def catalogue(data: Mapping[str, Any]) -> Catalogue:
    """Build the catalogue from the plain values of catalogue/endoflife.json."""
    rules = [
        Rule(frozenset(rule["os_distro"]), rule["product"], _pattern(rule, "name"), _pattern(rule, "os_version"))
        for rule in data["rules"]
    ]
    products = {name: _product(name, product) for name, product in data["products"].items()}
    return Catalogue(tuple(rules), products, frozenset(data["special_purposes"]), data["notice"])


def _pattern(data: Mapping[str, Any], key: str) -> re.Pattern[str] | None:
    return re.compile(data[key]) if key in data else None


def _product(name: str, data: Mapping[str, Any]) -> Product:
    ends = tuple(EndRule(**end_rule) for end_rule in data.get("end", [{"take": EOL}]))
    offered = re.compile(data.get("offered", ".*"))
    return Product(
        name, data["label"], data["phase"], re.compile(data["release"]), offered, data.get("lts_only", False), ends
    )


def uses(known: Catalogue, definitions: Iterable[Definition]) -> list[ReleaseUse]:
    """Return the releases of each definition; for a multi image, that of its newest version.

    Definitions of unknown distributions are skipped.
    """
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
            match = product.release.fullmatch(system or "")
            yield ReleaseUse(definition, product, system, match["release"] if match else None)


def _fits(rule: Rule, definition: Definition, system: str | None) -> bool:
    return (
        (definition.meta.get("os_distro") or "").lower() in rule.os_distro
        and (rule.name is None or rule.name.search(definition.name) is not None)
        and (rule.os_version is None or rule.os_version.fullmatch(system or "") is not None)
    )


def products_of(known: Catalogue, definitions: Iterable[Definition]) -> list[Product]:
    """Return the products of enabled definitions, which must be fetched."""
    return _products(uses(known, definitions))


def _products(release_uses: Iterable[ReleaseUse]) -> list[Product]:
    return list({use.product.name: use.product for use in release_uses if use.definition.enable}.values())


def check(
    known: Catalogue,
    definitions: Iterable[Definition],
    everything: Iterable[Definition],
    releases: Mapping[str, Sequence[Release]],
    today: date,
) -> list[Check]:
    """Check `definitions`, and return findings first.

    A release is missing if no definition in `everything` has it. `releases`: by product; products without an entry are
    skipped.
    """
    own_uses, all_uses = uses(known, definitions), uses(known, everything)
    checks: list[Check] = []
    for product in _products(own_uses):
        if product.name not in releases:
            continue
        product_releases = releases[product.name]
        checks += _missing(product, product_releases, [use for use in all_uses if use.product == product], known, today)
        for use in own_uses:
            if use.product == product and use.definition.enable:
                checks += _check_definition(use, product_releases, known.notice, today)
    return sorted(checks, key=lambda each: not each.is_finding)


def _missing(
    product: Product, releases: Sequence[Release], release_uses: Sequence[ReleaseUse], known: Catalogue, today: date
) -> Iterator[Check]:
    """Yield supported releases that no definition has.

    A release that is older than all defined ones is only a note: it may be left out on purpose.
    """
    relevant = [use for use in release_uses if not _is_special(use.definition, known)]
    defined = {use.release for use in relevant if use.release}
    interim_releases = {release.name for release in releases if not release.lts}
    interim = any(use.definition.enable and use.release in interim_releases for use in relevant)
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
    release = next((release for release in releases if release.name == use.release), None)
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
        left = f"in {humanize.count(days, 'day')}" if days else "today"
        yield Check("ending", name, f"{what} ends on {end}, {left}", product.name, release.name, _iso(end))
    if message := _provided_until_problem(use.definition.meta.get("provided_until"), end):
        yield Check("provided_until", name, f"{message} {what}, {end}", product.name, release.name, _iso(end))


def _provided_until_problem(until: str | None, end: date) -> str | None:
    """Return the problem of provided_until; `none` and `notice` promise no day."""
    if not until:
        return "has no provided_until; it could be the end of"
    later = until[:1].isdigit() and until[:10] > end.isoformat()
    return f"provided_until {until} is later than the end of" if later else None


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def findings(checks: Iterable[Check], failed: Mapping[str, str] | None = None) -> list[Finding]:
    """Return the checks as findings and notes, followed by the products whose data could not be fetched."""
    listed = [Finding("warning" if entry.is_finding else "note", entry.subject, entry.message) for entry in checks]
    return listed + [Finding("error", product, message) for product, message in (failed or {}).items()]


def summary(checks: Sequence[Check], products: Sequence[Product], failed: int) -> str:
    """Summarize in one line how many distributions were checked, and the number of findings."""
    words = {"missing": "not defined", "ended": "past the end", "ending": "ending soon"}
    counts = ", ".join(f"{sum(entry.kind == kind for entry in checks)} {word}" for kind, word in words.items())
    unknown = f", {failed} of them unknown" if failed else ""
    return f"{humanize.count(len(products), 'distribution')}{unknown}: {counts}"


def data(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """Return the checks as plain values."""
    return [{**asdict(entry), "finding": entry.is_finding} for entry in checks]
