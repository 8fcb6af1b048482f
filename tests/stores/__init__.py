"""Object stores to try the lake on: real servers, and a proxy that spoils their answers."""
