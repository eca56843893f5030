"""What a deployment starts with besides roles and currencies: each app registers how its own is made.

    starting_data.register("limits", defaults.load)          # from AppConfig.ready

`manage.py load_roles` makes all of it, on every start: what exists is left alone, and each says what it made.
"""

from collections.abc import Callable
from typing import Final

from backoffice.registry import Port

starting_data: Final[Port[Callable[[], list[str]]]] = Port("starting data")
