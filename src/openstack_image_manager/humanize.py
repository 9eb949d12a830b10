"""Write sizes and counts for people."""

from __future__ import annotations

UNITS = ("KiB", "MiB", "GiB")


def size(size: int) -> str:
    """`12 bytes`, `1.5 KiB`, `629.0 MiB`, `2.1 GiB`: never nothing where there is something."""
    if size < 1024:
        return count(size, "byte")
    power = min((size.bit_length() - 1) // 10, len(UNITS))
    return f"{size / 1024**power:.1f} {UNITS[power - 1]}"


def count(number: int, thing: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
