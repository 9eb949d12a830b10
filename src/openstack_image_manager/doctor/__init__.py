"""Check whether a cloud and this machine are ready for imports, and name the setting to change."""
