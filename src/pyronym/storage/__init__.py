"""Where records survive."""
