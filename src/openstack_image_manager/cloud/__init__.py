"""Keystone, Glance, Nova and Cinder: the only modules that talk to a cloud."""
