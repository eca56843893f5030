# mypy: ignore-errors
"""django-hordak's own transfer, in its own environment. Argument: JSON with url, processes, seconds. Prints transfers/s."""

import json
import multiprocessing
import os
import random
import sys
import time
from urllib.parse import unquote, urlsplit

ACCOUNTS = 200


def configure(url):
    from django.conf import settings

    parts = urlsplit(url)
    host, _, port = parts.netloc.rpartition("@")[2].partition(":")
    database = {
        "ENGINE": "django.db.backends.postgresql", "NAME": "hordak_bench", "HOST": unquote(host), "PORT": port,
        "USER": unquote(parts.username or ""), "PASSWORD": unquote(parts.password or ""), "CONN_MAX_AGE": None,
    }  # fmt: skip
    settings.configure(
        DATABASES={"default": database}, USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "mptt", "hordak"],
        DEFAULT_CURRENCY="USD", CURRENCIES=["USD"], SECRET_KEY="bench",
    )  # fmt: skip
    import django

    django.setup()


def prepare(url):
    """A database of its own with 200 accounts and money on them; their keys."""
    import psycopg2
    from django.core.management import call_command
    from djmoney.money import Money

    admin = psycopg2.connect(url)
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS hordak_bench")
        cursor.execute("CREATE DATABASE hordak_bench")
    admin.close()
    call_command("migrate", verbosity=0)
    from hordak.models import Account, AccountType

    house = Account.objects.create(name="House", code="1", type=AccountType.asset, currencies=["USD"])
    rows = [
        Account.objects.create(name=f"A{n}", code=f"{n + 2}", type=AccountType.liability, currencies=["USD"])
        for n in range(ACCOUNTS)
    ]
    for row in rows[:3]:
        house.transfer_to(row, Money(1000, "USD"))
    return [row.pk for row in rows]


def work(number, url, keys, seconds, begin, answers):
    configure(url)
    from django.db import connection
    from djmoney.money import Money
    from hordak.models import Account

    rows = {row.pk: row for row in Account.objects.filter(pk__in=keys)}
    draw = random.Random(number)
    connection.ensure_connection()
    begin.wait(60)
    done, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        one, other = draw.sample(keys, 2)
        rows[one].transfer_to(rows[other], Money(draw.randrange(1, 10000) / 100, "USD"))
        done += 1
    answers.put(done / spent)


def main():
    given = json.loads(sys.argv[1])
    configure(given["url"])
    keys = prepare(given["url"])
    from django.db import connections

    connections.close_all()
    context = multiprocessing.get_context("spawn")
    begin, answers = context.Barrier(given["processes"]), context.Queue()
    processes = [
        context.Process(target=work, args=(number, given["url"], keys, given["seconds"], begin, answers))
        for number in range(given["processes"])
    ]
    for process in processes:
        process.start()
    print(sum(answers.get(timeout=120) for _ in processes))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main()
