"""Verify signatures with pinned keys."""
