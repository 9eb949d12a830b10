"""Run real Keystone, Glance and Swift from PyPI on loopback, for trials and tests.

Do not use it in production: the services run without TLS, as the user who starts them.
"""

from openstack_image_manager.sandbox.lifecycle import Sandbox, Service, default_state
from openstack_image_manager.sandbox.objectstore import Account
from openstack_image_manager.sandbox.record import Options

__all__ = ["Account", "Options", "Sandbox", "Service", "default_state"]
