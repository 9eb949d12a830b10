"""Find the builds that upstreams publish, and keep definitions up to date with them."""
