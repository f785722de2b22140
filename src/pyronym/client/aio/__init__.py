"""The shell of the client on an event loop. `pyronym.aio` is its face."""
