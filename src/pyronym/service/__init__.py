"""The name server: the directory with a storage behind it, and its face in each dialect."""
