"""Defaults that help texts show; apart from the model, so that `--help` need not load it."""

DEFAULT_TAG = "managed_by_osism"
DEFAULT_IMAGES = "etc/images/"
EOL_URL = "https://endoflife.date/api/v1/products"
