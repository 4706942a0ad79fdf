"""Signed updates of program and models: all of the new version or all of the old one, whatever happens meanwhile."""
