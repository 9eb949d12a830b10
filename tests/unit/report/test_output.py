"""Standard output and error mask secrets and escape commands."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import cast

import pytest
from rich.console import Console
from rich.text import Text

from openstack_image_manager.report.output import Output, guard, styled

SECRET = "s3cr3t-W0rd"


def written(*pieces: str, into: type[Output] = Output) -> str:
    stream = io.StringIO()
    output = into(stream)
    output.writelines(pieces)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (("::error::x\n",), ":\\u003aerror::x\n"),
        (("a\n", "::error::x\n"), "a\n:\\u003aerror::x\n"),
        (("a\n ", ":", ":error::x\n"), "a\n :\\u003aerror::x\n"),
        (("a ", "::error::x\n"), "a ::error::x\n"),
        (("##", "vso", "[x]\n"), "##vso\\u005bx]\n"),
        (("x" * 200, "##", "[x]\n"), "x" * 200 + "##\\u005bx]\n"),
        (("x" * 200 + "::", "::a\n"), "x" * 200 + "::::a\n"),
        ((" " * 126 + "x", "::a ##", "[b]\n"), " " * 126 + "x::a ##\\u005bb]\n"),
        (("x" * 126, "::" * 60, "y\n"), "x" * 126 + "::" * 60 + "y\n"),
        (("section_start:1:a\r\x1b[0K\tb\u202e\n",), "section_start:1:a\\u000d\\u001b[0K\tb\\u202e\n"),
        ((f"https://u:{SECRET}@example.org/?sig={SECRET}\n",), "https://***@example.org/?sig=***\n"),
        ((" " * 130, "::error::x\n"), " " * 130 + ":\\u003aerror::x\n"),
        (("", "ä\n"), "ä\n"),
    ],
)
def test_escaped_output(pieces: tuple[str, ...], text: str) -> None:
    assert written(*pieces) == text


def test_the_rest_is_the_stream_s() -> None:
    stream = io.StringIO()
    output = Output(stream)
    assert output.write("::x") == 3  # characters of what was given, as callers count them
    assert not output.isatty()
    with pytest.raises(TypeError):
        output.write(b"x")  # type: ignore[arg-type]  # as libraries try whether a stream takes bytes


def test_colours_stay_and_commands_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    guard()
    guard()
    assert isinstance(sys.stdout, Output)
    assert not isinstance(sys.stdout.stream, Output)
    console = Console(file=styled(sys.stdout), force_terminal=True, color_system="standard", soft_wrap=True)
    console.print(Text.assemble(("::error::x", "red"), "\n::warning::x"))
    sys.stdout = cast("io.TextIOWrapper", sys.stdout.stream)
    sys.stderr = cast("Output", sys.stderr).stream
    assert capsys.readouterr().out == "\x1b[31m:\\u003aerror::x\x1b[0m\n:\\u003awarning::x\n"
    assert styled(sys.stdout) is not sys.stdout


def test_a_traceback_has_no_secret() -> None:
    """Errors are not tracebacks; if there is one, it has no password of this process."""
    code = (
        "import sys; sys.argv = ['x', 'validate', 'nowhere']\n"
        "from openstack_image_manager.cli import start, app\n"
        f"def broken(): raise RuntimeError('password: ubuntu, {SECRET}\\n::error::x')\n"
        "app.main = broken\n"
        "start.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OS_PASSWORD": SECRET},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "RuntimeError: password: ***, ***\n:\\u003aerror::x" in done.stderr
    assert SECRET not in done.stderr.replace(code, "")


def test_json_keeps_its_meaning() -> None:
    data = {"name": "##[error]x\x7f\u202e", "more": ["::x", "\U000e0001"]}
    text = written(json.dumps(data, indent=2, ensure_ascii=False))
    assert json.loads(text) == data
    assert "##[" not in text
