"""The examples of the documentation, read by the programs that they are for, or by their schemas."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from openstack_image_manager.definitions.loader import load
from tests.release.container import ROOT, of
from tests.unit.project.test_automation_docs import problem

EXAMPLES = ROOT / "docs" / "examples" / "automation"


def read(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))


def test_systemd_takes_its_units(tmp_path: Path) -> None:
    """Where the programs are, /bin/true stands: systemd insists that they exist."""
    for unit in (EXAMPLES / "systemd").glob("*.*"):
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(re.sub(r"^(ExecStart(?:Pre)?=)\S+", r"\1/bin/true", text, flags=re.M))
    units = sorted(map(str, tmp_path.glob("*.*")))
    assert len(units) == 4
    command = ["systemd-analyze", "verify", "--man=no", *units]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


TOOL = """#!/bin/sh
case "$1" in
  update) echo "# newer" >> images/debian.yml ;;
  check-updates) exit 3 ;;
esac
"""


def test_the_update_for_systemd_pushes_its_branch(tmp_path: Path) -> None:
    """By a user whom git does not know, and with findings of `check-updates`."""
    clone, tool = tmp_path / "clone", tmp_path / "bin" / "openstack-image-manager"
    tool.parent.mkdir()
    tool.write_text(TOOL, encoding="utf-8")
    tool.chmod(0o755)
    environment = {"PATH": f"{tool.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str) -> str:
        run = subprocess.run(
            ["git", *arguments], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return run.stdout

    git("config", "--global", "user.useConfigOnly", "true")
    git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin"))
    git("clone", "--quiet", str(tmp_path / "origin"), str(clone))
    (clone / "images").mkdir()
    (clone / "images" / "debian.yml").write_text("images: []\n", encoding="utf-8")
    git("-C", str(clone), "add", "images")
    git("-C", str(clone), "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "Begin")
    git("-C", str(clone), "push", "--quiet", "origin", "HEAD:main")
    script = EXAMPLES / "systemd" / "update-images"
    for _ in range(2):  # a second week before the first branch is merged
        run = subprocess.run(
            [script], cwd=clone, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert (run.returncode, run.stderr) == (0, "")
    assert git("-C", str(tmp_path / "origin"), "log", "--format=%an: %s", "main..update-images") == (
        "image updates: Newest builds of images\n"
    )


@pytest.mark.parametrize(
    ("folder", "options"),
    [
        ("github", ["--builtin-schema", "vendor.github-workflows"]),
        ("gitlab", ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ],
)
def test_forges_take_their_jobs(folder: str, options: list[str]) -> None:
    files = sorted(map(str, (EXAMPLES / folder).glob("*.yml")))
    assert files
    command = [Path(sys.executable).parent / "check-jsonschema", *options, *files]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_forge_takes_the_jobs_of_this_project() -> None:
    files = sorted(map(str, (Path(__file__).parents[2] / ".github" / "workflows").glob("*.yml")))
    command = [Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert files
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_kubernetes_takes_the_cron_job() -> None:
    kubernetes_validate.validate(read("kubernetes/cronjob.yaml"), kubernetes_validate.latest_version(), strict=True)


def test_the_cron_job_fits_the_container_and_the_command_line() -> None:
    job = read("kubernetes/cronjob.yaml")
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert problem(container["args"]) is None
    assert container["args"][0] == "apply"
    assert "--yes" in container["args"]  # nobody is there to answer
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert {volume["name"] for volume in pod["volumes"]} == set(mounts)
    assert container["args"][container["args"].index("--images") + 1] == mounts["images"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["OS_CLIENT_CONFIG_FILE"] == f"{mounts['clouds']}/clouds.yaml"
    assert environment["XDG_CACHE_HOME"] == mounts["tmp"]  # all else is read-only
    assert [str(pod["securityContext"]["fsGroup"])] == of("", "USER")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"


def test_definitions_are_read_as_a_config_map_mounts_them(tmp_path: Path) -> None:
    """Each file is a link into a directory that is a link to the current one; both names begin with dots."""
    current = tmp_path / "..2026_11_24_02_30_00.1"
    current.mkdir()
    (tmp_path / "..data").symlink_to(current.name, target_is_directory=True)
    for name in ("ubuntu", "debian"):
        (current / f"{name}.yml").write_text(
            f"images: [{{name: {name}, format: raw, versions: []}}]\n", encoding="utf-8"
        )
        (tmp_path / f"{name}.yml").symlink_to(f"..data/{name}.yml")
    assert sorted(each.name for each in load(str(tmp_path)).definitions) == ["debian", "ubuntu"]


def test_kustomize_makes_what_the_cron_job_mounts() -> None:
    made = read("kubernetes/kustomization.yaml")
    pod = read("kubernetes/cronjob.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert made["resources"] == ["cronjob.yaml"]
    assert [each["name"] for each in made["secretGenerator"]] == [volumes["clouds"]["secret"]["secretName"]]
    assert [each["name"] for each in made["configMapGenerator"]] == [volumes["images"]["configMap"]["name"]]
