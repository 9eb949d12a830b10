"""Real Keystone and Glance from PyPI on loopback, for trying the tool and for its tests.

Not for anything that matters: the services run without TLS, as the user who starts them.
"""

from openstack_image_manager.sandbox.lifecycle import Options, Sandbox, Service, default_state

__all__ = ["Options", "Sandbox", "Service", "default_state"]
