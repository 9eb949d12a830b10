"""`python -m openstack_image_manager`: the command line where no script is installed."""

from openstack_image_manager.cli.start import main

if __name__ == "__main__":
    main()
