"""Report runs to people and programs."""
