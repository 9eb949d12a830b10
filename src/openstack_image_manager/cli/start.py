"""Where the program begins: what makes a short run shorter, before the command line is read."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import time
from itertools import pairwise

from openstack_image_manager.cli.broken_pipe import go_on
from openstack_image_manager.report.output import crashed, guard

LOOKERS = ("plan", "apply", "status")  # commands that look at clouds at once; without a command it is a run
NO_LOOK = {
    *("-h", "--help", "--version", "--check-only", "--check-age", "--share-image"),
    # Several clouds, and what is logged from the first moment.
    *("--all-clouds", "--debug", "--log-format"),
}


def main() -> None:
    """Run the command line in a process of its own, which ends with it. Raises SystemExit."""
    ended: list[int] = []
    atexit.register(_leave, ended)  # the first one to be registered is the last one to be called
    # Nearly all that is made is needed to the end: to search it for garbage now and then takes a tenth of a short run.
    gc.set_threshold(100_000, 50, 50)
    # A thread that got an answer goes on at once, and not after 5 ms of what another one is loading.
    sys.setswitchinterval(0.001)
    # Pydantic would read the metadata of all that is installed, to look for plugins of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _open_closed()
    _check_clock()
    go_on()
    guard()
    sys.excepthook = crashed
    try:
        _ask_early(sys.argv[1:])
        from openstack_image_manager.cli.app import main

        main()
    except KeyboardInterrupt:
        # Python ends itself with the signal, at the end, if it was loading a module with code made from text.
        ended.append(130)
        sys.exit(130)
    except SystemExit as end:
        ended += [0] if end.code is None else [end.code] if isinstance(end.code, int) else []
        raise


def _open_closed() -> None:
    """Let standard streams that are closed lead nowhere: the next file to be opened would be taken for them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # until the process ends


def _check_clock() -> None:
    """End with a message where Python cannot tell the time: `import logging` would raise, so it comes later."""
    try:
        time.time()
    except OverflowError:
        sys.exit("error: the clock of this machine is past 2262-04-11, which Python cannot handle; set it")


def _leave(ended: list[int]) -> None:
    """The end of the process, without taking apart first what is never needed again, which takes another tenth."""
    if ended:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(ended[0])


def _ask_early(words: list[str]) -> None:
    """Ask the cloud that a run names for its images before Typer and what else it takes are loaded. Nothing is decided
    here: what the command line means otherwise, or is a mistake, finds no use for the answer."""
    import logging

    from openstack_image_manager.defaults import DEFAULT_TAG

    looks = not words or words[0].startswith("-") or words[0] in LOOKERS
    clouds, tags = _values(words, "--cloud"), _values(words, "--tag")
    if looks and len(clouds) == 1 and not NO_LOOK & {word.partition("=")[0] for word in words}:
        # Until it is known what is to be logged, nothing is.
        logging.getLogger().addHandler(logging.NullHandler())
        from openstack_image_manager.runs.connect import open_early

        open_early(clouds[0], tags[-1] if tags else DEFAULT_TAG)


def _values(words: list[str], option: str) -> list[str]:
    apart = [value for word, value in pairwise(words) if word == option]
    return apart + [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]
