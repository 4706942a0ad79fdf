"""Dragoman: an offline speech translator for small devices."""

from importlib import metadata

try:
    __version__ = metadata.version("dragoman")
except metadata.PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
