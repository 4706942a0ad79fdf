"""Thin adapters that put recognition, translation and speech engines behind three small protocols."""
