"""Microphone array processing: geometry, filter bank, beamformers, direction of arrival, calibration and health."""
