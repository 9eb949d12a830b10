"""Keeps the images of OpenStack clouds as their definitions say."""

__version__ = "0.2.0"
