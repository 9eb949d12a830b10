"""Render the files of a site from its data and its templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from openstack_image_manager.site import atom, timeline
from openstack_image_manager.site.model import Distribution, Offer, Site, document, schema
from openstack_image_manager.site.snippets import snippets

TEMPLATES = ("base.html", "parts.html", "index.html", "distribution.html", "image.html")
ASSETS = ("style.css", "site.js", "icon.svg")
INDEX = "index.html"  # written last, after the pages that it links to
STATES = {"supported": "supported", "ending": "ends soon", "ended": "ended", "unknown": "end unknown"}


def pages(site: Site, texts: Mapping[str, str], notice: int, url: str | None = None) -> dict[str, bytes]:
    """Return the files by path, in the order to write them. `texts`: TEMPLATES and ASSETS; `notice`: days before an end
    of support at which the feed reports it; `url`: the URL of the site."""
    today = date.fromisoformat(site.looked_at[:10])
    environment = Environment(
        loader=DictLoader(dict(texts)),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"note": timeline.note, "ids_stay": ids_stay, "rebuilt": rebuilt}
    environment.globals |= {"site": site, "today": today.isoformat(), "states": STATES}
    files = {name: texts[name] for name in ASSETS}
    files["images.schema.json"] = json.dumps(schema(), indent=1) + "\n"

    def page(template: str, path: str, **values: Any) -> None:
        root = "../" if "/" in path else ""
        files[path] = environment.get_template(template).render(root=root, path=path, **values)

    for distribution in site.distributions:
        picture = timeline.timeline(distribution.images, today)
        page("distribution.html", distribution.page, distribution=distribution, picture=picture)
        for offer in distribution.images:
            page("image.html", offer.page, **_of_image(distribution, offer, today))
    files["images.json"] = document(site)
    result = {path: text.encode() for path, text in files.items()}
    result["feed.xml"] = atom.atom(site, atom.news(site, today, notice), url)
    page("index.html", INDEX)
    result[INDEX] = files[INDEX].encode()
    return result


def _of_image(distribution: Distribution, offer: Offer, today: date) -> dict[str, Any]:
    return {
        "distribution": distribution,
        "offer": offer,
        "picture": timeline.timeline([offer], today),
        "snippets": snippets(offer),
    }


def rebuilt(frequency: str | None) -> str:
    """Describe `replace_frequency` (SCS-0102)."""
    return "not known" if frequency is None else frequency.replace("_", " ")


def ids_stay(validity: str | None) -> str:
    """Describe `uuid_validity` (SCS-0102)."""
    word = validity or ""
    if word.startswith("last-"):
        return f"the last {word.removeprefix('last-')} builds stay"
    known = {"": "nothing is promised", "none": "nothing is promised", "forever": "all builds stay"}
    return known.get(word, "until notice is given" if word == "notice" else f"until {word}")
