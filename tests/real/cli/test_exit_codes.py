"""The exit codes of the table in docs/automation.md: each command with what does not exist, fails, or is found."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.support.bench import Bench, run_main

ROOT = Path(__file__).parents[3]
# {name}: the definition; {images}: its folder; {empty}: a folder without definitions, {odd}: a file with an error.
CASES = [
    (0, "validate {images}"),
    (0, "plan --images {images} --tag {tag}"),
    (0, "show '{name}' --images {images} --tag {tag}"),
    (0, "keys list --keys {empty}"),
    (1, "validate {odd}"),
    (1, "plan --images {odd}"),
    (1, "plan --images {images} --cloud openstack --cloud nowhere"),
    (1, "status --images {images} --cloud openstack --cloud nowhere"),
    (1, "catalogue build {empty}/site --images {images} --tag {tag} --cloud openstack --cloud nowhere"),
    (1, f"keys fetch file://{{odd}} {'AB' * 20}"),
    (2, "nothing"),
    (2, "plan --nothing"),
    (2, "plan --images {images} --cloud nowhere"),
    (2, "status --images {images} --cloud nowhere"),
    (2, "list --cloud nowhere"),
    (2, "adopt --cloud nowhere"),
    (2, "catalogue build {empty}/site --images {images} --cloud nowhere"),
    (2, "catalogue show nothing"),
    (2, "apply --images {images} --tag {tag} --expect 0123456789abcdef --yes"),
    (2, "show nothing --images {images} --tag {tag}"),
    (2, "explain nothing --images {images} --tag {tag}"),
    (2, "rollback nothing --images {images} --tag {tag} --yes"),
    (2, "rollback '{name}' --to 99 --images {images} --tag {tag} --yes"),
    (2, "share nothing admin --images {images} --tag {tag}"),
    (2, "update --images {images} --name nothing"),
    (2, "keys fetch file://{odd} ABC"),
    (3, "plan --images {images} --tag {tag}-other --exit-code"),
    (3, "status --images {images} --tag {tag}-other"),
    (3, "doctor --cloud nowhere"),
]


def test_every_case_of_the_table(bench: Bench, tmp_path: Path) -> None:
    bench.define(bench.ubuntu("1", visibility="private"))
    assert bench.run().code == 0
    empty, odd = tmp_path / "empty", tmp_path / "odd.yml"
    empty.mkdir()
    odd.write_text("images: [{name: A}]\n", encoding="utf-8")
    folder, name = bench.directory / "images", f"Ubuntu {bench.tag}"
    wrong = []
    for code, line in CASES:
        arguments = shlex.split(line.format(name=name, images=folder, empty=empty, odd=odd, tag=bench.tag))
        environment = {**bench.environment, "OS_CLOUD": "openstack", "HOME": str(tmp_path)}
        outcome = run_main(arguments, environment)
        if outcome.code != code or "Traceback" in outcome.text:
            wrong.append((line, code, outcome.code, outcome.text))
    assert wrong == []


def test_the_table_has_all_codes() -> None:
    """130 is tested where runs are interrupted."""
    text = (ROOT / "docs" / "automation.md").read_text(encoding="utf-8")
    table = re.search(r"## Exit codes\n(.*?)\n## ", text, re.S)
    assert table
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table[1], re.M)} == {*(code for code, _ in CASES), 130}
