"""Bytes to messages and back, for both protocols. No I/O."""
