"""Transports, the daemon that hosts objects, the broadcast responder."""
