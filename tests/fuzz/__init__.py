"""No input brings the server down: mutated messages against a live server, and coverage-guided fuzzing."""
