"""Whatever is in a file, exploding aliases and damage too, never ends in a traceback; what is dumped loads again."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.definition_files import CIRROS, FULL, RANCHER, refused

from openstack_image_manager.definitions import yaml_tree
from openstack_image_manager.definitions.diagnostics import error_message
from openstack_image_manager.definitions.loader import DefinitionErrors, load
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.definitions.values import RESERVED


def bomb(levels: int, width: int, line: str) -> str:
    lines = [f"    - &a{i} {{{line.format(', '.join([f'*a{i - 1}'] * width))}}}\n" for i in range(1, levels)]
    return "images:\n  - name: A\n    format: raw\n    versions:\n    - &a0 {version: '1'}\n" + "".join(lines)


def test_alias_bombs_are_defused(tmp_path: Path) -> None:
    assert any("values" in line for line in refused(tmp_path, bomb(9, 20, "<<: [{}]")))
    meta = ", ".join(f"k{number}: v" for number in range(500))
    text = f"images: [&a {{name: A, format: raw, versions: [], meta: {{{meta}}}}}{', *a' * 2500}]\n"
    assert refused(tmp_path, text)[-1].endswith("with its aliases this file holds more than 1000000 values; split it")


def test_too_many_values() -> None:
    small = yaml_tree.composer(yaml.SafeLoader, most=100)
    with pytest.raises(yaml_tree.InvalidYamlError, match="holds more than 100 values; split the file"):
        yaml_tree.Tree(b"[" + b"[]," * 100 + b"]", small)


def test_merges_through_too_many_anchors(tmp_path: Path) -> None:
    chain = ", ".join(["&a0 {k: v}", *(f"&a{i} {{<<: *a{i - 1}}}" for i in range(1, 300))])
    lines = refused(tmp_path, f"x: [{chain}]\nimages: [{{<<: *a299}}]\n")
    assert any("through too many others" in line for line in lines)


def test_the_parser_in_python_says_the_same_places() -> None:
    slow = yaml_tree.composer(yaml.SafeLoader)
    for text in (CIRROS, FULL, RANCHER):
        trees = [yaml_tree.Tree(text.encode(), loader).root for loader in (yaml_tree._Composer, slow)]
        assert yaml.serialize(trees[0]) == yaml.serialize(trees[1])
        for path in ((), ("images", 0), ("images", 0, "versions", 0, "url")):
            fast, other = (yaml_tree.Tree(text.encode(), loader) for loader in (yaml_tree._Composer, slow))
            assert fast.root is not None
            assert other.root is not None
            assert fast.find(fast.root, path) == other.find(other.root, path)
    with pytest.raises(yaml_tree.InvalidYamlError, match="deeper than 100"):
        yaml_tree.Tree(b"[" * 10_000, slow)
    for loader in (yaml_tree._Composer, slow):
        for escape in ("U00110000", "ud800"):
            with pytest.raises(yaml_tree.InvalidYamlError, match="not valid YAML"):
                yaml_tree.Tree(f'"\\{escape}"'.encode(), loader)


def test_errors_of_pydantic_we_have_no_words_for_are_shown_in_its_own() -> None:
    details: Any = {"type": "new_in_pydantic", "input": 1, "msg": "its words", "loc": ()}
    assert error_message(details, ()) == "its words"


quiet = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def survives(folder: Path, data: bytes) -> None:
    (folder / "a.yml").write_bytes(data)
    try:
        load(str(folder / "a.yml"))
    except DefinitionErrors as error:
        lines, complaints = str(error).splitlines(), error.diagnostics
    else:
        return
    assert len(lines) == len(complaints) > 0


@quiet
@given(
    data=st.one_of(st.binary(max_size=300), st.text("[]{}&*!<:-?,'\"#%@`|> \n\tabc019.", max_size=200).map(str.encode))
)
def test_no_bytes_end_in_a_traceback(tmp_path: Path, data: bytes) -> None:
    survives(tmp_path, data)


@settings(quiet, max_examples=100)
@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, len(FULL)),
            st.integers(0, 12),
            st.sampled_from(
                ["", " ", "\n", "- ", "[", "}", "&a ", "*a", "<<: ", "!!int ", "~", "0x", "1:1", "\t", "\x00", "é"]
            )
            | st.text(max_size=3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_no_mutation_of_a_valid_file_ends_in_a_traceback(tmp_path: Path, edits: list[tuple[int, int, str]]) -> None:
    text = FULL
    for start, length, new in edits:
        text = text[:start] + new + text[start + length :]
    survives(tmp_path, text.encode("utf-8", "surrogatepass"))


texts = st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF, exclude_characters="\x7f"), max_size=20)
is_shown = str.isprintable
names = st.text(st.characters(max_codepoint=0xFFFF, categories=["L", "N", "P"]), min_size=1, max_size=20)
keys = names.filter(lambda key: key not in RESERVED and not key.startswith(("os_glance_", "image_manager_")))
metas = st.dictionaries(keys, st.none() | texts, max_size=4)
version_models = st.builds(
    Version,
    version=texts.filter(lambda text: is_shown(text) and text not in ("", "latest") and text == text.strip()),
    url=st.sampled_from(["https://x/1", "file:///a", "http://x/é"]),
    checksum=st.none() | st.sampled_from(["md5:" + "0" * 32, "sha1:" + "1" * 40]),
    build_date=st.none() | st.dates(max_value=date(2026, 1, 1)).map(str),
    os_version=st.none() | texts,
    meta=metas.filter(lambda meta: "uuid_validity" not in meta),
    hidden=st.none() | st.booleans(),
)
definition_models = st.builds(
    Definition,
    name=names,
    format=st.sampled_from(["raw", "qcow2"]),
    login=st.none() | texts,
    min_disk=st.integers(0, 10**6),
    multi=st.booleans(),
    separator=texts.filter(is_shown),
    tags=st.lists(texts.filter(bool), max_size=3),
    meta=metas,
    versions=st.lists(version_models, min_size=1, max_size=3, unique_by=lambda version: version.version),
)


@quiet
@given(definition=definition_models)
def test_what_is_dumped_loads_as_the_same(tmp_path: Path, definition: Definition) -> None:
    data = {"images": [definition.model_dump(exclude_unset=True)]}
    (tmp_path / "a.yml").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert load(str(tmp_path / "a.yml")).definitions == (definition,)
