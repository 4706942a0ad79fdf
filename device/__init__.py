"""Dragoman: an offline speech translator for small devices."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name):
        """Look the version up when it is asked for: what that takes would double the time to start."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import metadata

        try:
            return metadata.version("dragoman")
        except metadata.PackageNotFoundError:  # a source tree that was never installed
            return "0+unknown"
