"""`python -m openstack_image_manager` is the command line."""

from openstack_image_manager.cli.app import main

main()
