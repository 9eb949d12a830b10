"""Bare scripts that make only the calls that cannot be avoided, with `requests` alone and nothing of the tool."""
