"""Real HTTP servers on loopback that behave like the APIs our taps read."""
