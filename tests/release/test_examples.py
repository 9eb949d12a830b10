"""The examples of the documentation, read by the programs that they are for, or by their schemas."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
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


@dataclass
class Repository:
    """A repository with definitions, and a clone in which a job runs with stand-ins for the tool and for `gh`."""

    folder: Path
    environment: dict[str, str]

    @property
    def clone(self) -> Path:
        return self.folder / "clone"

    def git(self, *arguments: str, place: str = "clone") -> str:
        command = ["git", "-C", str(self.folder / place), *arguments]
        run = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True, timeout=60)
        return run.stdout

    def merge(self, text: str) -> None:
        """The main branch gets this file."""
        main = self.folder / "main"
        if not main.exists():
            self.git("clone", "--quiet", str(self.folder / "origin"), str(main), place=".")
        (main / "images").mkdir(exist_ok=True)
        (main / "images" / "debian.yml").write_text(text, encoding="utf-8")
        self.git("add", "images", place="main")
        self.git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "Merge", place="main")
        self.git("push", "--quiet", "origin", "HEAD:main", place="main")

    def job(self, *command: str | Path, **environment: str) -> None:
        """Run a job in the clone."""
        run = subprocess.run(
            command,
            cwd=self.clone,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert run.returncode == 0, run.stdout + run.stderr

    def branch(self) -> tuple[str, str]:
        """The commit of the branch, and the definitions in it."""
        commit = self.git("rev-parse", "update-images", place="origin")
        return commit, self.git("show", "update-images:images/debian.yml", place="origin")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    for name, text in (("openstack-image-manager", TOOL), ("gh", "#!/bin/sh\n"), ("pip", "#!/bin/sh\n")):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(text, encoding="utf-8")
        tool.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    made = Repository(tmp_path, {"PATH": path, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"})
    made.git("config", "--global", "user.useConfigOnly", "true", place=".")
    made.git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin"), place=".")
    made.merge("images: []\n")
    made.git("clone", "--quiet", str(tmp_path / "origin"), str(made.clone), place=".")
    return made


def update_of(repository: Repository, kind: str) -> None:
    """Run the weekly job of an example, as its runner does."""
    if kind == "systemd":
        repository.job(EXAMPLES / "systemd" / "update-images")
        return
    shutil.rmtree(repository.clone)
    origin = f"file://{repository.folder / 'origin'}"
    repository.git("clone", "--quiet", "--depth", "1", "--branch", "main", origin, str(repository.clone), place=".")
    if kind == "github":
        steps = read("github/update-images.yml")["jobs"]["builds"]["steps"]
        (script,) = (step["run"] for step in steps if step.get("name") == "Propose the change")
        repository.job("openstack-image-manager", "update")
        repository.job("bash", "-e", "-c", script, RUNNER_TEMP=str(repository.folder))
    else:
        script = "\n".join(read("gitlab/gitlab-ci.yml")["update"]["script"])
        server = {"CI_SERVER_HOST": "gitlab.invalid", "CI_PROJECT_PATH": "p", "CI_DEFAULT_BRANCH": "main"}
        repository.git("config", f"url.{origin}.insteadOf", "https://images:t@gitlab.invalid/p.git")
        repository.git("config", "receive.advertisePushOptions", "true", place="origin")
        repository.job("bash", "-e", "-o", "pipefail", "-c", script, IMAGES_TOKEN="t", **server)


@pytest.mark.parametrize("kind", ["systemd", "github", "gitlab"])
def test_the_weekly_job_pushes_new_builds_once(repository: Repository, kind: str) -> None:
    """By a user whom git does not know, and with findings of `check-updates`."""
    update_of(repository, kind)
    first = repository.branch()
    assert first[1] == "images: []\n# newer\n"
    assert repository.git("log", "--format=%s", "main..update-images", place="origin") == "Newest builds of images\n"
    update_of(repository, kind)  # a second week, before the first branch is merged
    assert repository.branch() == first
    repository.merge("images: [] # edited\n")
    update_of(repository, kind)
    assert repository.branch()[1] == "images: [] # edited\n# newer\n"


def test_the_update_for_systemd_continues_after_it_was_stopped(repository: Repository) -> None:
    """The files are written then, and not committed; and the main branch moves on."""
    (repository.clone / "images" / "debian.yml").write_text("images: []\n# half\n", encoding="utf-8")
    repository.merge("images: [] # edited\n")
    update_of(repository, "systemd")
    assert repository.branch()[1] == "images: [] # edited\n# newer\n"
    assert repository.git("log", "-1", "--format=%an", "update-images", place="origin") == "image updates\n"


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
