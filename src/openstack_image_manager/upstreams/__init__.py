"""What distributions publish: resolvers as data, download sites, and the definitions that follow them."""
