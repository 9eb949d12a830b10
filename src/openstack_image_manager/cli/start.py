"""Prepare the process, then run the command line."""

from __future__ import annotations

import atexit
import os
import sys
import time

from openstack_image_manager.cli.broken_pipe import go_on
from openstack_image_manager.report.output import crashed, guard

INTERRUPTED = 130  # exit code


def main() -> None:
    """Run the command line in a process of its own, which ends with it. Raises SystemExit."""
    codes: list[int] = []
    atexit.register(_end, codes)  # registered first, so called last
    # Pydantic would read the metadata of all installed packages to look for its plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _open_closed()
    _check_clock()
    go_on()
    guard()
    sys.excepthook = crashed
    try:
        from openstack_image_manager.cli.app import main

        main()
    except KeyboardInterrupt:
        codes.append(INTERRUPTED)
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        codes += [0] if end.code is None else [end.code] if isinstance(end.code, int) else []
        raise


def _open_closed() -> None:
    """Redirect closed standard streams to /dev/null; otherwise the next opened file would become one of them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  until the process ends


def _check_clock() -> None:
    """End with a message where Python cannot read the clock, before `import logging` raises."""
    try:
        time.time()
    except OverflowError:
        sys.exit("error: the clock of this machine is past 2262-04-11, which Python cannot handle; set it")


def _end(codes: list[int]) -> None:
    """End the process without the teardown of the interpreter, for three reasons. It would stop threads that still wait
    for the network in the middle of native code or of a write, which can abort the process. After Ctrl-C while a
    library runs code from text, it would end with the signal and not with the exit code. And it takes a quarter of the
    time of a run with nothing to do."""
    if codes:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(codes[0])
