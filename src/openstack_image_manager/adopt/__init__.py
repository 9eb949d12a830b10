"""Definitions from images that are there already: which belong together, what defines them, and how that is written."""
