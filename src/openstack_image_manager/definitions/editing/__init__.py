"""Edits of definition files: only the lines that must change, and never half a file."""
