from device.mqtt import Pace

QUICK = Pace(retry_first=0.05, retry_longest=0.2, hold_first=0.3, quota_first=0.05)
"""The publisher's waiting times, shortened."""
