"""The domain: names, their records, and the indexes over them. Knows nothing of wires."""
