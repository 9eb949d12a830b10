"""The definitions that come with this package."""
