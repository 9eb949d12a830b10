"""The plan: the difference between the images wanted and the images found. Pure: no I/O."""
