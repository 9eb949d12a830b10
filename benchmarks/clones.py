"""Thousands of images in Glance in seconds: one that was really imported, copied in the sandbox's database.

Through the API it would take a quarter of an hour for 10,000. The copies share the bytes of the first one, so they are
taken away in the database too, and only the first one through the API.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

TABLES = ("image_properties", "image_tags", "image_locations")


@contextmanager
def clones(database: Path, image_id: str, name: str, names: list[str]) -> Iterator[None]:
    """Copies of the image, one for each of `names`: wherever the image says `name`, the copy says its own."""
    ids = [str(uuid.uuid4()) for _ in names]
    try:
        with closing(_open(database)) as connection, connection:
            for table in ("images", *TABLES):
                _copy(connection, table, image_id, name, list(zip(ids, names, strict=True)))
        yield
    finally:
        with closing(_open(database)) as connection, connection:
            for table in TABLES:
                connection.executemany(f"DELETE FROM {table} WHERE image_id = ?", [(each,) for each in ids])
            connection.executemany("DELETE FROM images WHERE id = ?", [(each,) for each in ids])


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=60)


def _copy(connection: sqlite3.Connection, table: str, image_id: str, name: str, copies: list[tuple[str, str]]) -> None:
    key = "id" if table == "images" else "image_id"
    found = connection.execute(f"SELECT * FROM {table} WHERE {key} = ? AND NOT deleted", (image_id,))
    # A column `id` that is not the image's is given by the database.
    columns = [column[0] for column in found.description]
    kept = [index for index, column in enumerate(columns) if table == "images" or column != "id"]
    rows = found.fetchall()
    texts = [columns[index] for index in kept if columns[index] in ("name", "value") and table != "image_locations"]

    def value(row: tuple[object, ...], index: int, number: int, copy: tuple[str, str]) -> object:
        if columns[index] == key:
            return copy[0]
        if columns[index] in texts and isinstance(row[index], str):
            return str(row[index]).replace(name, copy[1])
        if columns[index] == "created_at" and table == "images":  # moments differ, as those of images do
            return f"{datetime(2026, 1, 1) + timedelta(seconds=number)}.000000"
        return row[index]

    marks = ", ".join("?" * len(kept))
    names = ", ".join(columns[index] for index in kept)
    connection.executemany(
        f"INSERT INTO {table} ({names}) VALUES ({marks})",
        ([value(row, index, number, copy) for index in kept] for number, copy in enumerate(copies) for row in rows),
    )
