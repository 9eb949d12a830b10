"""Choices and defaults of options; apart from the model, so that `--help` need not load it."""

from typing import Literal

DEFAULT_TAG = "managed_by_osism"
DEFAULT_IMAGES = "etc/images/"
CATALOGUE = "catalogue:"  # how --images says that the definitions of this package are meant
EOL_URL = "https://endoflife.date/api/v1/products"

HiddenVisibility = Literal["community", "private", "shared"]
Outdated = Literal["keep", "hide", "deactivate", "delete"]
Orphans = Literal["keep", "hide", "delete"]
UnknownUsage = Literal["keep", "delete"]
ImportMethod = Literal["auto", "web-download", "glance-direct"]
LogFormat = Literal["text", "json"]
