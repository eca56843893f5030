"""How staff get into the console and stay there: password and second factor, locks, sessions, and proving oneself again.

- `codes`: what a second factor is made of, pure; `second_factor`: enrolling, showing and removing it
- `logging_in`: the two steps; `locks`: who failed too often
- `console_sessions`: how long a log-in lasts; `elevation`: opening the most sensitive actions for minutes
"""
