"""Write an Atom feed of changes for tenants.

The feed needs no state: images record when they were created and hidden, and ends of support have a day. The id of an
entry depends only on its subject, so it does not change with the URL of the site.
Format: https://www.rfc-editor.org/rfc/rfc4287
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree

from openstack_image_manager.site.model import Build, Offer, Place, Site
from openstack_image_manager.site.timeline import note, shifted

ATOM = "http://www.w3.org/2005/Atom"
MOST = 100  # entries
NAMESPACE = uuid5(NAMESPACE_URL, "tag:openstack-image-manager,2026:tenants")


@dataclass(frozen=True, slots=True)
class News:
    """An entry of the feed. `about` identifies it; `when` is in RFC 3339."""

    about: tuple[str, ...]
    when: str
    title: str
    text: str
    page: str

    @property
    def id(self) -> str:
        """Return the permanent id."""
        return urn(*self.about)


def urn(*about: str) -> str:
    """Return a stable id for a subject."""
    words = "\n".join(about)
    return f"urn:uuid:{uuid5(NAMESPACE, words)}"


def news(site: Site, today: date, notice: int) -> list[News]:
    """Return all entries, the newest first. `notice`: days before an end of support at which its entry appears."""
    entries = {entry.id: entry for offer in site.offers for entry in _of(offer, site, today, notice)}
    return sorted(entries.values(), key=lambda entry: (entry.when, entry.id), reverse=True)


def _of(offer: Offer, site: Site, today: date, notice: int) -> Iterator[News]:
    for build in offer.builds:
        for place in build.places:
            suffix = f" in {place.cloud}" if len(site.clouds) > 1 else ""
            yield _arrived(offer, build, place, suffix)
            if place.retired:
                text = f"{place.name} ({place.id}) is no longer a current build. Its id can still be used."
                about = ("retired", place.cloud, place.id)
                yield News(about, f"{place.retired}T00:00:00Z", f"{place.name} retired{suffix}", text, offer.page)
    life = offer.life
    if life.end:
        end = date.fromisoformat(life.end)
        for kind, day in (
            ("ending", shifted(end, -timedelta(days=notice))),
            ("ended", shifted(end, timedelta(days=1))),
        ):
            if day <= today:
                verb = "has ended" if kind == "ended" else f"ends on {life.end}"
                what = f"{life.phase[:1].upper()}{life.phase[1:]} of {life.label} {verb}"
                text = f"{what}. Images: {', '.join(offer.name for offer in site.offers if offer.life == life)}."
                yield News((kind, life.label, life.end), f"{day}T00:00:00Z", what, text, offer.page)


def _arrived(offer: Offer, build: Build, place: Place, suffix: str) -> News:
    title = f"{offer.name} {build.version}{suffix}"
    verification = {
        "before import": f"verified before the import: {build.checksum}",
        "after import": f"verified after the import: {build.checksum}",
        "no": "not verified: no checksum was given",
        "unknown": "verification unknown",
    }[build.verified]
    signed = f", signed with the key {build.signed_by}" if build.signed_by else ""
    text = f"New image {place.name} ({place.id}), {verification}{signed}. {offer.life.label}: {note(offer.life)}."
    return News(("arrived", place.cloud, place.id), place.created, title, text, offer.page)


def atom(site: Site, entries: list[News], url: str | None) -> bytes:
    """Return the feed. `url`: the URL of the site; without it links are relative, as RFC 4287 allows."""
    base = f"{url.rstrip('/')}/" if url else ""
    feed = ElementTree.Element("feed", xmlns=ATOM)
    entries = entries[:MOST]

    def add(parent: ElementTree.Element, tag: str, text: str = "", **attributes: str) -> ElementTree.Element:
        element = ElementTree.SubElement(parent, tag, attributes)
        element.text = text or None
        return element

    add(feed, "id", urn("feed", *sorted(site.clouds)))
    add(feed, "title", site.title)
    add(feed, "updated", entries[0].when if entries else site.looked_at)
    add(feed, "link", rel="self", type="application/atom+xml", href=f"{base}feed.xml")
    add(feed, "link", rel="alternate", type="text/html", href=f"{base}index.html")
    add(add(feed, "author"), "name", site.title)
    add(feed, "generator", "openstack-image-manager")
    for news in entries:
        entry = add(feed, "entry")
        add(entry, "id", news.id)
        add(entry, "title", news.title)
        add(entry, "updated", news.when)
        add(entry, "link", rel="alternate", type="text/html", href=f"{base}{news.page}")
        add(entry, "content", news.text, type="text")
    ElementTree.indent(feed)
    text = ElementTree.tostring(feed, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()
