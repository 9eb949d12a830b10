"""Upstream images in an object storage of ours: keys, records, verdicts, copies."""
