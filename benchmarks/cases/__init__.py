"""The cases of the table, a module for each kind."""
