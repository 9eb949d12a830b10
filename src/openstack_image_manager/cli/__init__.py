"""The command line: one short module per command, one error boundary."""
