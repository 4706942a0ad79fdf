"""Sound in and out: files, capture, playback, the microphone array, and where an utterance ends."""
