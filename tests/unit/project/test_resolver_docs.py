"""docs/resolvers.md: its tables are the models, its examples load."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from openstack_image_manager.definitions.loader import load
from openstack_image_manager.definitions.model import LONGEST
from openstack_image_manager.definitions.resolvers import limits, validation
from openstack_image_manager.definitions.resolvers.model import (
    KINDS,
    ChecksumRule,
    Lookup,
    Resolver,
    SignatureRule,
    Step,
)
from openstack_image_manager.definitions.yaml_tree import MAX_FOREIGN
from openstack_image_manager.upstreams import budget, documents, sites

DOCS = Path(__file__).parents[3] / "docs" / "resolvers.md"


def table(model: type[BaseModel]) -> str:
    """The reference of a model's fields as Markdown."""
    lines = [f"| {'Option' if model is Step else 'Field'} | Meaning | Example |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        shown = field.alias or name
        if model is Step and shown in KINDS:
            continue
        assert field.examples
        # A bar in a table has to be escaped.
        example = json.dumps(field.examples[0]).replace("|", "\\|")
        lines.append(f"| `{shown}` | {field.description} | `{example}` |")
    return "\n".join(lines)


@pytest.mark.parametrize("model", [Resolver, Lookup, Step, ChecksumRule, SignatureRule])
def test_the_reference_is_the_model(model: type[BaseModel]) -> None:
    assert table(model) in DOCS.read_text(encoding="utf-8")


def test_the_limits_are_those_of_the_code() -> None:
    told = re.findall(r"^\| .* \| (\d+) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    known = [limits.PATTERN, limits.VALUE, limits.STEPS, limits.ENTRIES, limits.LINE, limits.BUILDS, limits.BUILD]
    assert list(map(int, told)) == [
        *known,
        LONGEST,
        budget.REQUESTS,
        int(budget.SECONDS),
        documents.VALUES,
        MAX_FOREIGN,
        sites.KEPT // 1024**2,
    ]


def blocks(kind: str) -> list[str]:
    return [part.split("\n```")[0] for part in DOCS.read_text(encoding="utf-8").split(f"```{kind}\n")[1:]]


def test_the_definitions_load(tmp_path: Path) -> None:
    for index, text in enumerate(blocks("yaml")):
        (tmp_path / f"{index}.yml").write_text(text, encoding="utf-8")
    names = [definition.name for definition in load(str(tmp_path)).definitions]
    assert names == ["Ubuntu 24.04 Minimal", "Rocky Linux 10 LVM", "My Linux 7"]


def test_there_is_a_sound_example_of_every_kind() -> None:
    shown = set()
    for text in blocks("yaml step"):
        resolver = Resolver.model_validate({"steps": [yaml.safe_load(text)], "url": "https://x/", "version": "1"})
        assert validation.problems(resolver) == []
        shown.add(resolver.steps[0].kind)
    assert shown == set(KINDS)
