"""Measurements of speed, memory and calls against the released tool of this name and against bare scripts (floors).

`script/bench` runs them; docs/performance.md tells what they mean. Not part of the package.
"""
