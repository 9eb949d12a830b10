"""Releases of distributions and their end of life."""
