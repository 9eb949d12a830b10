"""What people are given: the package, the container, the site, and the examples as the programs read them."""
