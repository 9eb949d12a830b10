"""The programs that check signatures: what they report, and what is told when they fail or are not there."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.signers import DATA, DAY, FORGED, HAND, THEN, made, refused, stored

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures import sequoia_worker
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.signatures.openpgp import certificates, signatures
from openstack_image_manager.signatures.programs import Check
from openstack_image_manager.signatures.sequoia_worker import report
from openstack_image_manager.signatures.verdict import CheckResult, parse_status


def test_pysequoia_reports_as_gpgv_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "signature", tmp_path / "certificate", tmp_path / "data"]
    for path, content in zip(paths, (HAND.sign(DATA), HAND.certificate, DATA), strict=True):
        path.write_bytes(content)
    assert parse_status(report(*map(str, paths))) == CheckResult("GOODSIG", HAND.fingerprint, THEN + DAY)
    paths[2].write_bytes(FORGED)
    assert parse_status(report(*map(str, paths))) == CheckResult("NOTGOOD")
    # As a program of its own, which is how it is used.
    monkeypatch.setattr("sys.argv", ["sequoia_worker.py", *map(str, paths)])
    runpy.run_path(sequoia_worker.__file__, run_name="__main__")
    assert capsys.readouterr().out == "[GNUPG:] NOTGOOD\n"


def fake(directory: Path, script: str) -> str:
    """A PATH on which gpgv is this script."""
    directory.mkdir()
    (directory / "gpgv").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "gpgv").chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


def one_check(patience: float = 60) -> Check:
    return Check(signatures(HAND.sign(DATA))[0], certificates(HAND.certificate)[0], patience)


def test_a_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake(tmp_path / "bin", "exec sleep 600"))
    check = one_check(patience=0.2)
    with pytest.raises(VerificationError, match="hangs: no progress for"):
        check.update(bytes(1024 * 1024))
    check.close()
    check = one_check(patience=0.2)
    check.update(DATA)
    with pytest.raises(VerificationError, match="hangs: no progress for"):
        check.finish()


def test_a_program_that_ends_too_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake(tmp_path / "bin", "exit 0"))
    data = bytes(1024 * 1024)
    refused(
        "cannot be checked",
        data,
        HAND.sign(data),
        HAND.fingerprint,
        Keyring([stored(tmp_path / "keys", HAND.certificate)]),
    )


def test_a_program_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake(tmp_path / "bin", ""))
    (tmp_path / "bin" / "gpgv").write_text("#!/nonexistent/shell\n")
    refused(
        "cannot check the signature with .*gpgv: No such file",
        DATA,
        HAND.sign(DATA),
        HAND.fingerprint,
        Keyring([stored(tmp_path / "keys", HAND.certificate)]),
    )


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (HAND.sign(DATA), "no program can check OpenPGP signatures: install gpgv .*, or: pip install pysequoia$"),
        (HAND.sign(DATA, version=3), "version 3, which only gpgv can check: install gpgv"),
        (made(v6=True).sign(DATA), "only pysequoia can check signatures of version 6: pip install pysequoia$"),
    ],
)
def test_what_to_install_is_said(tmp_path: Path, signature: bytes, message: str) -> None:
    stored(tmp_path / "keys", HAND.certificate, made(v6=True).certificate)
    (tmp_path / "signature").write_bytes(signature)
    code = """
import sys
sys.modules["pysequoia"] = None
from pathlib import Path
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures import sequoia_worker
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.signatures.openpgp import certificates, signatures
from openstack_image_manager.signatures.sequoia_worker import report
from openstack_image_manager.signatures.verify import Keyring, verify_detached
try:
    verify_detached(b"", Path("signature").read_bytes(), sys.argv[1:], Keyring([Path("keys")]))
except VerificationError as error:
    print(error)
"""
    pythonpath = os.pathsep.join(str(Path(each).absolute()) for each in sys.path if each)
    run = subprocess.run(
        [sys.executable, "-c", code, HAND.fingerprint, made(v6=True).fingerprint],
        cwd=tmp_path,
        env=os.environ | {"PATH": "/nonexistent", "PYTHONPATH": pythonpath},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(message, run.stdout)


@pytest.mark.parametrize(
    ("programs", "warning"),
    [
        (("gpgv",), ""),
        (("gpgv", "pysequoia"), ""),
        (("pysequoia",), "warning: without gpgv, signatures of version 3 (openSUSE) cannot be checked: install gpgv ("),
        ((), "warning: no program can check OpenPGP signatures: install gpgv ("),
    ],
)
def test_the_list_of_keys_warns_if_no_program_can_use_them(
    tmp_path: Path, programs: tuple[str, ...], warning: str
) -> None:
    stored(tmp_path / "keys", HAND.certificate)
    (tmp_path / "bin").mkdir()
    if "gpgv" in programs:
        (tmp_path / "bin" / "gpgv").symlink_to(str(shutil.which("gpgv")))
    code = f"""
import sys
if "pysequoia" not in {programs!r}:
    sys.modules["pysequoia"] = None
from openstack_image_manager.cli.app import main
main(["keys", "list", "--keys", "keys"])
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert HAND.fingerprint in run.stdout
    assert run.stderr.startswith(warning)
    assert bool(run.stderr) == bool(warning)
