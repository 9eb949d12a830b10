"""The commands validate and schema, and what the schema takes and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
import yaml
from jsonschema import Draft202012Validator
from tests.support.definition_files import CIRROS, FULL, HEAD, RANCHER, TAIL, UBUNTU
from tests.support.resolver_files import DEFINITION, GOOD
from typer.testing import CliRunner

from openstack_image_manager.cli import validate
from openstack_image_manager.definitions.loader import json_schema
from openstack_image_manager.definitions.resolvers import shipped
from openstack_image_manager.definitions.resolvers.model import KINDS
from openstack_image_manager.errors import UsageError


def test_the_schema_accepts_valid_definitions() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)

    class Strings(yaml.SafeLoader):
        """Editors read dates as texts."""

        def timestamp(self, node: Any) -> str:
            return str(node.value)

    Strings.add_constructor("tag:yaml.org,2002:timestamp", Strings.timestamp)
    for text in (CIRROS, UBUNTU, RANCHER, FULL, "images:\n", HEAD + "    tags:\n    meta:\n    versions:\n"):
        assert list(validator.iter_errors(yaml.load(text, Strings))) == []
    for text in (
        "images: 3",
        HEAD + TAIL + "    mindisk: 3\n",
        HEAD,
        HEAD + "    meta: {a: [b]}\n" + TAIL,
        HEAD + "    login: no\n" + TAIL,
    ):
        assert list(validator.iter_errors(yaml.load(text, Strings))) != []
    meta = schema["$defs"]["Meta"]["properties"]
    assert "k8snode" in meta["os_purpose"]["anyOf"][0]["enum"]
    assert all(field["description"] for field in schema["$defs"]["Version"]["properties"].values())


def command(*arguments: str) -> Any:
    app = typer.Typer()
    validate.register(app)
    return CliRunner().invoke(app, arguments)


def test_validate_counts_valid_definitions(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(UBUNTU)
    result = command("validate", str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, "1 definition in 1 file is valid\n")
    (tmp_path / "b.yml").write_text(RANCHER.replace("hw_disk_bus: scsi", "hw_disk_bus: floppy"))
    result = command("validate", "--images", str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, "2 definitions in 2 files are valid\n")
    assert result.stderr.startswith(f"warning: {tmp_path / 'b.yml'}:12:18: RancherOS: meta.hw_disk_bus: 'floppy' is ")


def test_validate_names_all_mistakes_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(HEAD + "    keep: 3\n    mindisk: 3\n" + TAIL)
    result = command("validate", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"{tmp_path / 'a.yml'}:4:11: A: keep: must be true or false, not the number 3",
        f"{tmp_path / 'a.yml'}:5:5: A: mindisk: unknown field; did you mean 'min_disk'?",
        "2 errors",
    ]
    assert isinstance(command("validate", "a", "--images", "b").exception, UsageError)


def test_schema_is_printed() -> None:
    result = command("schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json_schema()
    assert result.stdout.startswith('{\n  "$schema"')


def test_the_schema_knows_resolvers(tmp_path: Path) -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)

    def errors(text: str) -> list[Any]:
        return list(validator.iter_errors(yaml.safe_load(text)))

    assert errors(DEFINITION + GOOD) == []
    for resolve in (
        "rocky",
        "{use: rocky, variables: {a: 5, b: {by: a, values: {c: d}}}}",
        "{exclude: x}",
        "{exclude: [x]}",
        "{steps: [{static: {a: b}}, {static: [{a: b}]}]}",
        "{prereleases: true}",
        "",
    ):
        assert errors(f"{DEFINITION}    resolve: {resolve}\n") == [], resolve
    for resolve in (
        "{usee: rocky}",
        "[]",
        "{steps: [{listing: x}]}",
        "{steps: [{static: {a: b}, match: x}]}",
        "{steps: [{}]}",
        "{checksum: {}}",
        "{signature: {kind: x, over: index}}",
        "{variables: {a: []}}",
        "{prereleases: x}",
    ):
        assert errors(f"{DEFINITION}    resolve: {resolve}\n") != [], resolve
    shipped_data = yaml.safe_load((Path(shipped.__file__).parents[2] / "catalogue" / "resolvers.yml").read_text())
    for name, resolver in shipped_data["resolvers"].items():
        resolve = yaml.safe_dump({"resolve": resolver}, default_flow_style=True, width=10_000)
        assert errors(DEFINITION + "    " + resolve[1:-2]) == [], name
    for kind in KINDS:
        assert kind in [step["required"][0] for step in schema["$defs"]["Step"]["oneOf"]]
    fields = [
        *schema["$defs"]["Resolver"]["properties"].values(),
        *schema["$defs"]["SignatureRule"]["properties"].values(),
    ]
    assert all(field["description"] for field in fields)
