"""The taps, against real servers and as real processes."""
