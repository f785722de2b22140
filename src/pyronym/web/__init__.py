"""The HTTP side of a name server: health, metrics and a REST API. Needs the extra `web`."""
