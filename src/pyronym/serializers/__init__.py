"""Payload bytes to Python values and back."""
