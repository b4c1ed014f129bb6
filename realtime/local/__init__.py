"""A Realtime server that runs here, for use without a key and for tests; it shares no code with the relay."""
