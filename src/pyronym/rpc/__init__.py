"""One session per connection, as a state machine. No I/O."""
