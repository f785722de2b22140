"""pyronym: a name server for Python remote objects."""
