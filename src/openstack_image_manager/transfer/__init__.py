"""Bytes on their way: download, unpack, inspect, verify."""
