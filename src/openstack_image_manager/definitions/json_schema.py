"""Generate the JSON Schema of definition files for editors."""

from __future__ import annotations

from typing import Any

from openstack_image_manager.definitions.fields import KINDS, UNQUOTED
from openstack_image_manager.definitions.image_properties import PROPERTIES
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.resolvers.model import KINDS as STEPS

_TEXT = {"type": UNQUOTED["text"]}
_RULES = ("Lookup", "ChecksumRule", "DocumentSignature", "SignatureRule")


def json_schema() -> dict[str, Any]:
    """The file format as JSON Schema (draft 2020-12). Suggests values of known properties, allows any."""
    raw = Definition.model_json_schema()
    parts = raw.pop("$defs")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Image definitions of openstack-image-manager",
        "description": "A list of the images that a cloud should have.",
        "type": "object",
        "properties": {
            "images": {"type": ["array", "null"], "items": {"$ref": "#/$defs/Definition"}, "description": "The images."}
        },
        "patternProperties": {r"^(x-|\.)": {"description": "Anything: a place for anchors."}},
        "additionalProperties": False,
        "$defs": {
            "Definition": _record(raw),
            "Version": _record(parts["Version"]),
            "Member": {"anyOf": [{"type": UNQUOTED["text"]}, _record(parts["Member"])]},
            "Meta": _meta(),
            "Resolver": _resolver(parts["Resolver"]),
            "Step": {"oneOf": [_step(kind, parts["Step"]["properties"]) for kind in STEPS]},
            **{name: _closed(parts[name]["properties"], parts[name].get("required", [])) for name in _RULES},
        },
    }


def _record(raw: dict[str, Any]) -> dict[str, Any]:
    properties = {name: _field(name, schema) for name, schema in raw["properties"].items()}
    return {**{key: raw[key] for key in raw if key != "properties"}, "properties": properties}


def _field(name: str, raw: dict[str, Any]) -> dict[str, Any]:
    about = {key: raw[key] for key in ("description", "examples", "default") if raw.get(key) is not None}
    # An optional field is `anyOf: [schema, null]` to pydantic.
    schema, optional = (raw["anyOf"][0], True) if "anyOf" in raw else (raw, False)
    if name == "meta":
        return {"$ref": "#/$defs/Meta", **about}
    if name == "versions":
        return {"type": ["array", "null"], "items": {"$ref": "#/$defs/Version"}, **about}
    if name in ("tags", "former_owners", "former_names"):
        return {"type": ["array", "null"], "items": {**schema["items"], "type": UNQUOTED["text"]}, **about}
    if name == "members":
        return {"type": ["array", "null"], "items": {"$ref": "#/$defs/Member"}, **about}
    if name == "stores":
        item = {"type": UNQUOTED["text"], "minLength": 1}
        return {"type": ["array", "null"], "items": item, "minItems": 1, **about}
    if name == "resolve":
        return {"anyOf": [{"type": ["string", "null"]}, {"$ref": "#/$defs/Resolver"}], **about}
    if "enum" in schema:
        return {"enum": [*schema["enum"], *([None] if optional else [])], **about}
    kind = KINDS.get(name, "text")
    types = [schema["type"]] if kind == "plain" else UNQUOTED[kind]
    limits = {key: schema[key] for key in ("minLength", "maxLength", "minimum", "exclusiveMinimum") if key in schema}
    return {"type": [*types, *(["null"] if optional else [])], **limits, **about}


def _resolver(raw: dict[str, Any]) -> dict[str, Any]:
    schema = _closed(raw["properties"], [])
    parts = schema["properties"]
    parts["variables"] |= {"additionalProperties": {"anyOf": [_TEXT, {"$ref": "#/$defs/Lookup"}]}}
    parts["steps"] |= {"items": {"$ref": "#/$defs/Step"}}
    for name, rule in (("checksum", "ChecksumRule"), ("signature", "SignatureRule")):
        parts[name] = {"$ref": f"#/$defs/{rule}", "description": parts[name]["description"]}
    return schema


def _step(kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    takes, needs, _ = STEPS[kind]
    chosen = {name: schema for name, schema in properties.items() if name == kind or name in takes}
    return _closed(chosen, [kind, *sorted(needs)])


def _closed(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """A mapping of a resolver: these fields and no others."""
    fields = {name: _part(schema) for name, schema in properties.items()}
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def _part(raw: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {key: raw[key] for key in ("description", "examples") if key in raw}
    schema = raw["anyOf"][0] if "anyOf" in raw else raw
    if "$ref" in schema:
        return {**schema, **about}
    if "enum" in schema:
        return {"enum": schema["enum"], **about}
    if schema.get("type") == "array":
        # A single value means a list of one.
        item = _TEXT if schema["items"].get("type") == "string" else {"type": "object", "additionalProperties": _TEXT}
        several = {"type": "array", "items": item}
        return {**(several if "$ref" in schema["items"] else {"anyOf": [item, several]}), **about}
    if schema.get("type") == "object":
        return {"type": "object", "additionalProperties": _TEXT, **about}
    return {**(_TEXT if schema.get("type") == "string" else {"type": schema.get("type", "object")}), **about}


def _meta() -> dict[str, Any]:
    scalar = {"type": ["string", "number", "boolean", "null"]}
    known, traits = {}, {}
    for name, known_property in PROPERTIES.items():
        about = {"description": f"scs-0102, {known_property.level}: {known_property.allowed or 'free text'}."}
        # Either branch takes the value; the first is what editors offer.
        offer = {"anyOf": [{"enum": list(known_property.values)}, scalar]} if known_property.values else scalar
        if name.endswith("*"):
            traits[f"^{name[:-1]}"] = {**about, **offer}
        else:
            known[name] = {**about, **offer}
    return {
        "type": ["object", "null"],
        "description": "Properties of the image in Glance. Any key can be used; null: the image must not have it.",
        "properties": known,
        "patternProperties": traits,
        "additionalProperties": scalar,
        "propertyNames": {"minLength": 1, "maxLength": 255},
    }
