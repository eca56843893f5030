"""The console's building blocks, and the pages of the kernel's own records.

- `base`: the admin classes every app's pages derive from; `actions`: dialogs; `record`: what a record page shows
- `ports`: where apps add sidebar entries, cards of Home, panels of the client's page, search, words for events
- `show`: how money, instants and states look; `timeline`, `history`: what happened, and what changed

An app's console is its own `admin` module or package, which Django imports at start-up and which registers all this.
"""

from django.apps import apps

if apps.models_ready:  # Django's autodiscovery; anybody else asks for a module by name
    from backoffice.admin import (  # noqa: F401
        access_log,
        currencies,
        events,
        health_page,
        mails,
        people,
        roles,
        unfinished,
        watched,
    )
