"""The language of `resolve:` in definitions."""
