"""The commands in the documentation exist, and its examples can be read."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.reference import COMMANDS

from openstack_image_manager.endoflife.data import catalogue

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
EXAMPLES = sorted(path for path in (DOCS / "examples").rglob("*") if path.is_file())
# docs/cli.md is what the commands say themselves.
PAGES = [ROOT / "README.md", *(path for path in sorted(DOCS.rglob("*.md")) if path.name != "cli.md")]
NAME = "openstack-image-manager"


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(path: Path) -> Iterator[str]:
    """What follows the name of the tool in code: in whole files, and in blocks and spans of Markdown."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        blocks = re.findall(r"^ *```\w*[^\n]*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
        rest = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
        text = "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", rest), *re.findall(r"^    (\S.*)$", rest, re.MULTILINE)])
    text = re.sub(r"\\\n\s*", "", text)
    for line in text.splitlines():
        if not line.lstrip().startswith(("# ", "#!", "note:", "warning:")):
            yield from re.findall(rf"(?:^|[\s/=]){NAME}(?= |$)(.*)", line)


def words(line: str) -> list[str]:
    """The arguments, up to where the shell ends them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    found: list[str] = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            break
        found.append(word)
    return found


def problem(arguments: list[str]) -> str | None:
    """What is wrong with a command line, as far as its names go."""
    path, takes_value = NAME, False
    for word in arguments:
        if takes_value:
            takes_value = False
        elif word.startswith("-"):
            option, _, value = word.partition("=")
            known = {name: each for each in COMMANDS[path].params for name in (*each.opts, *each.secondary_opts)}
            if option not in known and option not in ("-h", "--help"):
                return f"{path} has no {option}"
            takes_value = not getattr(known.get(option), "is_flag", True) and not value
        elif getattr(COMMANDS[path], "commands", None):
            path = f"{path} {word}"
            if path not in COMMANDS:
                return f"there is no {path}"
    return f"{path}: {arguments[-1]} has no value" if takes_value else None


@pytest.mark.parametrize("path", [*PAGES, *EXAMPLES], ids=name_of)
def test_every_command_and_every_option_exists(path: Path) -> None:
    problems = [f"{line.strip()}: {said}" for line in commands(path) if (said := problem(words(line)))]
    assert problems == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (" plan --images x --exit-code", None),
        (" --cloud openstack --images x", None),
        (" keys fetch URL FINGERPRINT --keys keys/", None),
        (" update --images x --dry-run --output markdown > y || code=$?", None),
        (" plan --imagse x", f"{NAME} plan has no --imagse"),
        (" plna --images x", f"there is no {NAME} plna"),
        (" keys list --cloud x", f"{NAME} keys list has no --cloud"),
        (" plan --images", f"{NAME} plan: --images has no value"),
        (" --imagse x plan", f"{NAME} has no --imagse"),
    ],
)
def test_errors_are_found(line: str, said: str | None) -> None:
    assert problem(words(line)) == said


def test_commands_are_found_where_they_are() -> None:
    found = {path.name: list(commands(path)) for path in [*PAGES, *EXAMPLES]}
    assert len(found["automation.md"]) >= 7
    assert len(found["end-of-life.md"]) == 2
    for name in ("README.md", "sandbox.md", "update-images.yml", "gitlab-ci.yml", "update-images", "apply.yaml"):
        assert found[name], name
    assert " keys fetch https://repo" in found["automation.md"][0][:26]
    assert found["automation.md"][0].endswith("--keys keys/")


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.suffix in (".yml", ".yaml")], ids=name_of)
def test_yaml_examples_can_be_read(path: Path) -> None:
    (data,) = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    assert data


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_yaml_in_pages_can_be_read(path: Path) -> None:
    for indent, block in re.findall(r"^( *)```ya?ml\n(.*?)^ *```", path.read_text(encoding="utf-8"), re.S | re.M):
        assert yaml.safe_load("\n".join(line.removeprefix(indent) for line in block.splitlines()))


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.suffix in (".service", ".timer")], ids=name_of)
def test_units_can_be_read(path: Path) -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.read_string(path.read_text(encoding="utf-8"))
    assert {"Service", "Timer"} & set(unit.sections())


def test_the_week_begins_on_sunday_everywhere() -> None:
    github = yaml.safe_load((DOCS / "examples/automation/github/update-images.yml").read_text(encoding="utf-8"))
    assert github[True]["schedule"] == [{"cron": "0 0 * * 0"}]  # a YAML 1.1 reader takes `on` for true
    timer = (DOCS / "examples/automation/systemd/update-images.timer").read_text(encoding="utf-8")
    assert "OnCalendar=Sun *-*-* 00:00:00" in timer


def test_apply_runs_every_night_everywhere() -> None:
    folder = DOCS / "examples" / "automation"

    def read(name: str) -> Any:
        return yaml.safe_load((folder / name).read_text(encoding="utf-8"))

    assert read("github/apply-images.yml")[True]["schedule"] == [{"cron": "30 2 * * *"}]
    assert read("kubernetes/cronjob.yaml")["spec"]["schedule"] == "30 2 * * *"
    assert "OnCalendar=*-*-* 02:30:00" in (folder / "systemd/apply-images.timer").read_text(encoding="utf-8")
    (project,) = [item["project"] for item in read("zuul/zuul.yaml") if "project" in item]
    assert project["periodic"]["jobs"] == ["images-apply"]
    jobs = read("gitlab/gitlab-ci.yml")
    scheduled = {
        name: rule["if"]
        for name, job in jobs.items()
        for rule in (job.get("rules", ()) if isinstance(job, dict) else ())
        if '"schedule"' in rule["if"]
    }
    assert {name: rule.endswith("$NIGHTLY") for name, rule in scheduled.items()} == {
        "apply": True,
        "releases": False,
        "update": False,
    }
    assert all(rule.endswith("$NIGHTLY == null") for name, rule in scheduled.items() if name != "apply")


def test_alerts_are_about_commands_that_an_example_runs_with_metrics() -> None:
    ran = {
        "run" if arguments[0].startswith("-") else arguments[0]
        for path in EXAMPLES
        for line in commands(path)
        if "--metrics" in (arguments := words(line))
    }
    assert ran == {"apply"}
    rules = yaml.safe_load((DOCS / "examples" / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    wanted = [re.findall(r'command=~?"([^"]*)"', rule["expr"]) for rule in rules]
    assert sum(map(len, wanted)) == 5
    for names in [value.split("|") for values in wanted for value in values]:
        assert ran & set(names)
        assert {f"{NAME} {name}".removesuffix(" run") for name in names} <= with_option("--metrics")


def with_option(option: str) -> set[str]:
    """The commands that have it."""
    return {path for path, command in COMMANDS.items() if any(option in each.opts for each in command.params)}


@pytest.mark.parametrize(("section", "option"), [("Metrics", "--metrics"), ("Logs", "--log-format")])
def test_the_commands_that_have_an_option_are_listed(section: str, option: str) -> None:
    text = (DOCS / "monitoring.md").read_text(encoding="utf-8").partition(f"\n## {section}\n")[2]
    sentence = re.search(r"The main command,([^.]*) have it\.", text)
    assert sentence
    assert {NAME, *(f"{NAME} {name}" for name in re.findall(r"`(.*?)`", sentence[1]))} == with_option(option)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_within_the_documentation_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_zuul_jobs_have_their_playbooks() -> None:
    folder = DOCS / "examples/automation/zuul"
    listed = [
        item["job"] for item in yaml.safe_load((folder / "zuul.yaml").read_text(encoding="utf-8")) if "job" in item
    ]
    for job in listed:
        for key in {"run", "pre-run"} & set(job):
            assert (folder / job[key]).is_file()


def test_the_end_of_life_page_has_the_catalogue() -> None:
    text = (DOCS / "end-of-life.md").read_text(encoding="utf-8")
    table = [row.split(" | ") for row in text.splitlines() if row.startswith("| `")]
    data = json.loads((ROOT / "src/openstack_image_manager/catalogue/endoflife.json").read_text(encoding="utf-8"))
    named = {word for row in table for word in re.findall(r"[a-z-]+", row[1])}
    assert set(data["products"]) <= named
    for rule in catalogue().rules:
        assert any(row[0].strip("| `") in rule.os_distro for row in table), rule
    assert f"within {catalogue().notice} days" in text


def threats() -> list[tuple[str, str]]:
    """The rows of docs/security.md that have a test: the threat, and the cell that names its tests."""
    lines = (DOCS / "security.md").read_text().splitlines()
    rows = [cells for line in lines if len(cells := line.strip("| ").split(" | ")) == 4]
    return [(f"{who} {can}", tests) for who, can, _, tests in rows if who not in ("who", "---")]


@pytest.mark.parametrize(("threat", "tests"), threats())
def test_each_threat_has_a_test_that_exists(threat: str, tests: str) -> None:
    for name in tests.split(", "):
        assert re.fullmatch(r"`tests/\w+/(\w+/)?test_\w+\.py`", name), threat
        assert (ROOT / name.strip("`")).is_file(), threat
