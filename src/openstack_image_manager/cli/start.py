"""Where the program begins: what makes a short run shorter, before the command line is read."""

from __future__ import annotations

import atexit
import gc
import logging
import sys
from itertools import pairwise

LOOKERS = ("plan", "apply", "status")  # commands that look at clouds at once; without a command it is a run
NO_LOOK = {
    *("-h", "--help", "--version", "--check-only", "--check-age", "--share-image"),
    # Several clouds, and what is logged from the first moment.
    *("--all-clouds", "--debug", "--log-format"),
}


def main() -> None:
    """Run the command line. Raises SystemExit."""
    _spare_the_collector()
    _ask_early(sys.argv[1:])
    from openstack_image_manager.cli.app import main

    main()


def _spare_the_collector() -> None:
    """Nearly all that is made is needed to the end: to search it for garbage again and again takes a tenth of a short
    run, and to take it apart at the end another one."""
    gc.set_threshold(100_000, 50, 50)
    atexit.register(gc.freeze)


def _ask_early(words: list[str]) -> None:
    """Ask the cloud that a run names for its images before Typer and what else it takes are loaded. Nothing is decided
    here: what the command line means otherwise, or is a mistake, finds no use for the answer."""
    from openstack_image_manager.defaults import DEFAULT_TAG

    looks = not words or words[0].startswith("-") or words[0] in LOOKERS
    clouds, tags = _values(words, "--cloud"), _values(words, "--tag")
    if looks and len(clouds) == 1 and not NO_LOOK & {word.partition("=")[0] for word in words}:
        # Until it is known what is to be logged, nothing is.
        logging.getLogger().addHandler(logging.NullHandler())
        from openstack_image_manager.cli.opening import open_early

        open_early(clouds[0], tags[-1] if tags else DEFAULT_TAG)


def _values(words: list[str], option: str) -> list[str]:
    apart = [value for word, value in pairwise(words) if word == option]
    return apart + [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]
