"""Judge the answers of download sites, and whether Glance can download from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from openstack_image_manager.definitions.model import Definition, Version, public_url
from openstack_image_manager.doctor.needs import WEB, Answer, addresses, checksum_file
from openstack_image_manager.doctor.report import Check, State

PORTS = {"http": 80, "https": 443}
_WHY = "an image can be imported only from a URL that answers"
_SUMS = "a version without its own checksum is verified with this file, and not imported without it"
_FILTER = "Glance refuses a web-download (400) if its filter does not allow the URL"
_SETTING = "[import_filtering_opts] allowed_schemes, allowed_ports, allowed_hosts in glance-api.conf"
_UNKNOWN = "the setting of this cloud is unknown; --ask-glance checks it"
_AROUND = "; or --import-method glance-direct"


def reachability(
    definitions: Sequence[Definition], answers: Mapping[str, Answer], imports: Sequence[tuple[Definition, Version]]
) -> list[Check]:
    """Return a check for each URL that fails, and one for all others. It is a problem if no URL of a version in
    `imports` answers, or its checksum file cannot be read."""
    unavailable = {
        url
        for _, version in imports
        if all(answers[url].failure for url in addresses(version))
        for url in addresses(version)
    }
    importing = {(definition.name, version.version) for definition, version in imports}
    checks = []
    for definition in definitions:
        for version in definition.offered:
            for url in addresses(version):
                answer = answers[url]
                if answer.failure:
                    checks.append(_unreachable(definition, version, answer, url in unavailable))
                elif answer.refuses_glance:
                    checks.append(_refuses(answer))
            text = checksum_file(version)
            if text and answers[text].failure:
                needed = (definition.name, version.version) in importing
                checks.append(_unreadable(definition, version, answers[text], needed))
    good = sum(answer.failure is None for answer in answers.values())
    if good or not answers:
        what = f"{good} of {len(answers)} URLs answer from this machine"
        checks.insert(0, Check("addresses", "ok", what, _WHY))
    return list(dict.fromkeys(checks))


def _unreachable(definition: Definition, version: Version, answer: Answer, unavailable: bool) -> Check:
    what = f"{definition.name} {version.version}: {answer.failure}"
    if unavailable:
        change = "the version (`update` finds a newer one), or this machine's access to the site (https_proxy)"
        return Check("address", "problem", what, _WHY, change)
    effect = "its upstream is used instead" if answer.url == version.mirror_url else "it is not needed now"
    return Check("address", "warning", f"{what}; {effect}", _WHY, "url or mirror_url of the version, or `mirror`")


def _unreadable(definition: Definition, version: Version, answer: Answer, needed: bool) -> Check:
    what = f"{definition.name} {version.version}: {answer.failure}{'' if needed else '; no import needs it now'}"
    change = "checksums_url of the version, its own checksum, or this machine's access to the site (https_proxy)"
    return Check("checksum file", "problem" if needed else "warning", what, _SUMS, change)


def _refuses(answer: Answer) -> Check:
    what = f"{public_url(answer.url)} refuses Python's urllib ({answer.refuses_glance}), which web-download uses"
    return Check("address", "warning", what, _WHY, "--import-method glance-direct, or mirror_url")


def origins(urls: Iterable[str]) -> dict[str, list[str]]:
    """Return the URLs that Glance could download, by scheme, host and port, as its filter checks them."""
    result: dict[str, list[str]] = {}
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme.lower() in WEB:
            host = parts.netloc.rpartition("@")[2].lower()
            result.setdefault(f"{parts.scheme.lower()}://{host}", []).append(url)
    return dict(sorted(result.items()))


def by_default(origin: str) -> str | None:
    """Return why Glance's default filter refuses an origin; None: it does not. (A host name may still resolve to an
    address of the machine itself.)"""
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
    """The result of a download by Glance from a site: whether its filter allows the URL, and a message."""

    is_allowed: bool
    message: str


def filters(origins: Collection[str], fetches: Mapping[str, Fetch] | None) -> list[Check]:
    """Judge web-download from each origin. `fetches`: results of downloads by Glance; None: Glance was not asked, and
    its default filter is assumed."""
    if fetches is not None:
        return [_fetched(origin, fetch) for origin, fetch in fetches.items()]
    checks = []
    for origin in origins:
        if refusal := by_default(origin):
            what = f"Glance's default filter refuses it ({refusal}); {_UNKNOWN}"
            checks.append(Check(f"web-download from {origin}", "warning", what, _FILTER, _SETTING + _AROUND))
    if allowed := [origin for origin in origins if not by_default(origin)]:
        what = f"Glance's default filter allows {', '.join(allowed)}; {_UNKNOWN}"
        checks.append(Check("web-download", "unknown", what, _FILTER, _SETTING + _AROUND))
    return checks


def _fetched(origin: str, fetch: Fetch) -> Check:
    state: State = "ok" if fetch.is_allowed else "warning"
    return Check(f"web-download from {origin}", state, fetch.message, _FILTER, _SETTING + _AROUND)
