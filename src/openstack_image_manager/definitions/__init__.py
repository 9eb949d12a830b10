"""YAML files to definitions, and every problem in them with its position."""
