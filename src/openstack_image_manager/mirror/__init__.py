"""Mirror upstream images into an object storage or a directory."""
