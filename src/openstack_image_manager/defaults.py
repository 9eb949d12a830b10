"""Defaults that help texts show; apart from the model, so that `--help` need not load it."""

DEFAULT_TAG = "managed_by_osism"
DEFAULT_IMAGES = "etc/images/"
CATALOGUE = "catalogue:"  # how --images says that the definitions of this package are meant
EOL_URL = "https://endoflife.date/api/v1/products"
