"""One ASGI app that programs written for Azure Speech talk to; every connection is a conversation of its own."""
