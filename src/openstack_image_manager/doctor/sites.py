"""Judge what download sites answered, and whether Glance can reach them itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from openstack_image_manager.definitions.model import Definition, Version, public_url
from openstack_image_manager.doctor.needs import WEB, Answer, addresses, checksum_file
from openstack_image_manager.doctor.report import Check, State

PORTS = {"http": 80, "https": 443}
_WHY = "an image can only be imported from where its bytes can be had"
_SUMS = "a version without a checksum of its own is verified by that file, and not imported without it"
_FILTER = "web-download is refused (400) where Glance's filter does not take an address"
_SETTING = "[import_filtering_opts] allowed_schemes, allowed_ports, allowed_hosts in glance-api.conf"
_UNSEEN = "how this one is set can't be seen; to ask it: --ask-glance"
_AROUND = "; or let the bytes pass through here: --import-method glance-direct"


def reachability(
    definitions: Sequence[Definition], answers: Mapping[str, Answer], wanted: Sequence[tuple[Definition, Version]]
) -> list[Check]:
    """A check for each address that is of no use, and one for all others. It is a problem where a version that is
    `wanted` can be had nowhere, or its checksum file can't be read."""
    hopeless = {
        url
        for _, version in wanted
        if all(answers[url].failure for url in addresses(version))
        for url in addresses(version)
    }
    importing = {(definition.name, version.version) for definition, version in wanted}
    checks = []
    for definition in definitions:
        for version in definition.offered:
            for url in addresses(version):
                answer = answers[url]
                if answer.failure:
                    checks.append(_unreachable(definition, version, answer, url in hopeless))
                elif answer.refuses_glance:
                    checks.append(_refuses(answer))
            text = checksum_file(version)
            if text and answers[text].failure:
                needed = (definition.name, version.version) in importing
                checks.append(_unread(definition, version, answers[text], needed))
    good = sum(answer.failure is None for answer in answers.values())
    if good or not answers:
        what = f"{good} of {len(answers)} addresses answer from here"
        checks.insert(0, Check("addresses", "ok", what, _WHY))
    return list(dict.fromkeys(checks))


def _unreachable(definition: Definition, version: Version, answer: Answer, hopeless: bool) -> Check:
    what = f"{definition.name} {version.version}: {answer.failure}"
    if hopeless:
        change = "the version (`update` finds a newer one), or this machine's way to the site (https_proxy)"
        return Check("address", "problem", what, _WHY, change)
    left = "its upstream is used instead" if answer.url == version.mirror_url else "it is not needed now"
    return Check("address", "warning", f"{what}; {left}", _WHY, "url or mirror_url of the version, or `mirror`")


def _unread(definition: Definition, version: Version, answer: Answer, needed: bool) -> Check:
    what = f"{definition.name} {version.version}: {answer.failure}{'' if needed else '; no import needs it now'}"
    change = "checksums_url of the version, a checksum of its own, or this machine's way to the site (https_proxy)"
    return Check("checksum file", "problem" if needed else "warning", what, _SUMS, change)


def _refuses(answer: Answer) -> Check:
    what = f"{public_url(answer.url)} refuses Python's own client ({answer.refuses_glance}), which web-download is"
    return Check("address", "warning", what, _WHY, "--import-method glance-direct, or mirror_url")


def origins(urls: Iterable[str]) -> dict[str, list[str]]:
    """The addresses that Glance could fetch by itself, by scheme, host and port: what its filter looks at."""
    found: dict[str, list[str]] = {}
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme.lower() in WEB:
            host = parts.netloc.rpartition("@")[2].lower()
            found.setdefault(f"{parts.scheme.lower()}://{host}", []).append(url)
    return dict(sorted(found.items()))


def by_default(origin: str) -> str | None:
    """Why Glance's filter as shipped would refuse it; None: it would not. (Hosts by name may still turn out to be
    addresses of the machine itself.)"""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if (parts.port or PORTS[parts.scheme]) not in PORTS.values():
        return f"port {parts.port}"
    try:
        address = ip_address(host)
    except ValueError:
        return f"host {host}" if host == "localhost" or host.endswith(".localhost") else None
    return f"host {host}" if address.is_loopback or address.is_link_local else None


@dataclass(frozen=True, slots=True)
class Fetch:
    """What came of asking Glance to fetch from a site: whether its filter took the address, and what it said then."""

    is_taken: bool
    message: str


def filters(origins: Collection[str], fetches: Mapping[str, Fetch] | None) -> list[Check]:
    """Whether web-download goes to each. `fetches`: what came of asking Glance; None: it was not asked, and only the
    filter that Glance is shipped with can be told of."""
    if fetches is not None:
        return [_asked(origin, fetch) for origin, fetch in fetches.items()]
    checks = []
    for origin in origins:
        if refusal := by_default(origin):
            what = f"Glance as shipped refuses it ({refusal}); {_UNSEEN}"
            checks.append(Check(f"web-download from {origin}", "warning", what, _FILTER, _SETTING + _AROUND))
    if taken := [origin for origin in origins if not by_default(origin)]:
        what = f"Glance as shipped takes {', '.join(taken)}; {_UNSEEN}"
        checks.append(Check("web-download", "unknown", what, _FILTER, _SETTING + _AROUND))
    return checks


def _asked(origin: str, fetch: Fetch) -> Check:
    state: State = "ok" if fetch.is_taken else "warning"
    return Check(f"web-download from {origin}", state, fetch.message, _FILTER, _SETTING + _AROUND)
