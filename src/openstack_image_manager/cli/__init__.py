"""The command line: one short module per command, one error boundary.

Modules of commands import Typer and the model's defaults only; what a command needs besides is imported when it
runs, so that `--help` answers at once.
"""
