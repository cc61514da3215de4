"""The small order service whose log, metrics and orders are the samples of Intelligence Mesh.

It is a real service under a real load: worker threads take requests from a generator, write orders to SQLite and log
what they did. The incident in the log is real as well: partway through, another connection opens an exclusive
transaction and keeps it, so that the workers run into SQLite's lock.

    python shop.py OUT_FOLDER --minutes 58 --lock-after 41 --lock-minutes 4
"""

from __future__ import annotations

import argparse
import json
import logging
import queue
import random
import resource
import sqlite3
import threading
import time
from pathlib import Path

WORKERS = 3
BUSY_SECONDS = 2.0  # how long a worker waits for the database before it gives up
CITIES = ("Lisbon", "Utrecht", "Graz", "Aarhus", "Leeds", "Ghent", "Turku", "Brno", "Porto", "Lyon")
GOODS = {
    "espresso beans 1 kg": 21.5,
    "pour-over kettle": 64.0,
    "paper filters 100": 6.2,
    "hand grinder": 89.0,
    "stoneware cup": 14.0,
    "milk jug": 19.9,
    "descaler": 8.4,
    "scale with timer": 39.0,
}
orders_log = logging.getLogger("orders")
stock_log = logging.getLogger("stock")
mail_log = logging.getLogger("mail")
health_log = logging.getLogger("health")


def connect(folder: Path) -> sqlite3.Connection:
    """A connection of its own for each thread."""
    connection = sqlite3.connect(folder / "shop.sqlite", timeout=BUSY_SECONDS, isolation_level=None)
    connection.execute("create table if not exists orders (id integer primary key, customer int, total real, city text)")
    connection.execute("create table if not exists stock (item text primary key, units int)")
    return connection


def take_order(connection: sqlite3.Connection, rng: random.Random, folder: Path) -> None:
    """Write one order and take its items from stock, in one transaction."""
    customer = rng.randint(1, 900)
    items = rng.choices(list(GOODS), k=rng.choice((1, 1, 2, 3)))
    total = round(sum(GOODS[item] for item in items), 2)
    started = time.perf_counter()
    connection.execute("begin immediate")
    cursor = connection.execute(
        "insert into orders (customer, total, city) values (?, ?, ?)", (customer, total, rng.choice(CITIES))
    )
    for item in items:
        connection.execute("update stock set units = units - 1 where item = ?", (item,))
    connection.execute("commit")
    took = (time.perf_counter() - started) * 1000
    orders_log.info("order %d created for customer %d: %d items, %.2f EUR, %.0f ms", cursor.lastrowid, customer, len(items), total, took)
    with (folder / "orders.jsonl").open("a") as file:
        file.write(json.dumps({"order": cursor.lastrowid, "customer": customer, "items": items, "total_eur": total}) + "\n")
    if rng.random() < 0.5:
        mail_log.info("confirmation for order %d queued", cursor.lastrowid)


def restock(connection: sqlite3.Connection) -> None:
    """Fill up what runs low."""
    for item, units in connection.execute("select item, units from stock where units < 20").fetchall():
        connection.execute("update stock set units = units + 60 where item = ?", (item,))
        stock_log.warning("%s low: %d units left, 60 reordered", item, units)


def work(requests: queue.Queue[float], folder: Path, seed: int) -> None:
    """Serve requests until told to stop by a negative one."""
    rng = random.Random(seed)
    connection = connect(folder)
    while requests.get() >= 0:
        try:
            take_order(connection, rng, folder)
            restock(connection)
        except sqlite3.OperationalError:
            if connection.in_transaction:
                connection.execute("rollback")
            orders_log.exception("order failed, customer sees an error page")


def hold_lock(folder: Path, after: float, seconds: float) -> None:
    """The incident: an exclusive transaction that nobody ends."""
    time.sleep(after)
    connection = connect(folder)
    connection.execute("begin exclusive")
    time.sleep(seconds)
    connection.execute("rollback")
    connection.close()


def watch(requests: queue.Queue[float], folder: Path) -> None:
    """Write the service's own metrics every fifteen seconds."""
    with (folder / "metrics.csv").open("w") as file:
        file.write("time,queue_length,cpu_seconds,resident_kb\n")
        while True:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            cpu = usage.ru_utime + usage.ru_stime
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            file.write(f"{now},{requests.qsize()},{cpu:.2f},{usage.ru_maxrss}\n")
            file.flush()
            health_log.info("alive, %d requests waiting", requests.qsize())
            time.sleep(15)


def main() -> None:
    """Run the service and its load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--lock-after", type=float, default=38, help="minutes until the incident")
    parser.add_argument("--lock-minutes", type=float, default=3)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        filename=options.folder / "shop.log", level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    connection = connect(options.folder)
    connection.executemany("insert or ignore into stock values (?, 80)", [(item,) for item in GOODS])
    requests: queue.Queue[float] = queue.Queue()
    for seed in range(WORKERS):
        threading.Thread(target=work, args=(requests, options.folder, seed), daemon=True).start()
    threading.Thread(target=watch, args=(requests, options.folder), daemon=True).start()
    threading.Thread(
        target=hold_lock, args=(options.folder, options.lock_after * 60, options.lock_minutes * 60), daemon=True
    ).start()
    rng = random.Random(2026)
    end = time.monotonic() + options.minutes * 60
    while time.monotonic() < end:
        time.sleep(rng.expovariate(0.55))
        requests.put(time.monotonic())
    orders_log.info("shutting down")


if __name__ == "__main__":
    main()
