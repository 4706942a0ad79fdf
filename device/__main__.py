"""``python -m device`` is the ``dragoman`` command."""

from device.cli import main

if __name__ == "__main__":
    main()
