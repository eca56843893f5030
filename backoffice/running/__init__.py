"""One command that starts everything and stops all of it: the supervisor and what it watches."""
