"""List the fields of a definition and their kinds."""

from __future__ import annotations

from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.definitions.yaml_tree import Kind

FIELDS = (Definition.model_fields, Version.model_fields)
# Fields that are numbers, true/false, versions or dates; all others are texts.
KINDS: dict[str, Kind] = {
    name: "plain"
    for fields in FIELDS
    for name, info in fields.items()
    if info.annotation in (bool, int, bool | None, int | None)
}
KINDS |= {"version": "version", "build_date": "date", "signed_at": "date", "prereleases": "plain", "max_age": "plain"}
# Texts that need no quotes, because YAML loses nothing of them (to YAML 1.2, dates are texts anyway).
UNQUOTED = {"text": ["string", "number"], "version": ["string", "integer"], "date": ["string"]}
