"""Words to copy: commands and templates that take every name as it is."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from functools import cache

import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.support import offered
from tests.support.plans import definition

from openstack_image_manager.site import snippets


@cache
def named():
    return offered.surveyed([definition("x", ("1",), login="it's")]).offers[0]


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), max_codepoint=0xFFFF), min_size=1))
def test_snippets_quote_every_name(site_name):
    name = site_name.strip() or "x"
    offer = named()
    place = replace(offer.front.here, name=name)
    offer = replace(offer, builds=(replace(offer.front, places=(place,)),))
    command, terraform, ansible = snippets.snippets(offer)
    words = shlex.split(command.text.replace("\\\n", ""))
    assert words[words.index("--image") + 1] == name
    assert words[-1] == "it's@ADDRESS"

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))
    (task,) = yaml.load(ansible.text, Loader)
    assert task["openstack.cloud.server"]["image"] == name
    (found,) = re.findall(r'^  name        = (".*")$', terraform.text.partition("resource")[0], re.MULTILINE)
    assert json.loads(found).replace("$${", "${").replace("%%{", "%{") == name
    assert not re.search(r"(?<!\$)\$\{|(?<!%)%\{", found.replace("$$", "  ").replace("%%", "  "))


def test_template_syntax_in_names_is_escaped():
    assert snippets.yaml("{{ x }}") == '!unsafe "{{ x }}"'
    assert snippets.yaml("Debian 13") == '"Debian 13"'
    assert snippets.hcl('a "b" ${c} %{d}') == r'"a \"b\" $${c} %%{d}"'


def test_images_that_are_not_listed_are_used_by_id():
    offer = offered.surveyed([definition("x", ("1",), visibility="community")]).offers[0]
    assert offer.login is None
    for snippet in snippets.snippets(offer):
        assert offer.front.here.id in snippet.text
        assert "ssh" not in snippet.text
        assert "data " not in snippet.text
