"""The command line: one module per command, one error boundary.

Modules of commands import Typer and defaults only. Commands import the rest when they run, so that `--help` is fast.
"""
