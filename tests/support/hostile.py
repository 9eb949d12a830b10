"""Sites that want to have the memory, the time or the disk of who asks them: answers without an end, and bombs."""

from __future__ import annotations

import contextlib
import itertools
import lzma
import socket
import struct
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator

import zstandard

MIB = 1024**2
GIB = 1024**3
OK = b"HTTP/1.1 200 OK\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n"
Behaviour = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def hostile(behave: Behaviour) -> Iterator[str]:
    """A site whose connections all get this. Yields its URL."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                behave(connection, over)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/disk.img"
        finally:
            over.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def drip(head: bytes, piece: bytes) -> Behaviour:
    """The head, then the piece again and again, slowly."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(0.2):
            connection.sendall(piece)

    return behave


def flood(head: bytes, piece: bytes, pieces: int | None = None) -> Behaviour:
    """The head, then the piece again and again, as fast as it is taken."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        for _ in itertools.repeat(None) if pieces is None else range(pieces):
            if over.is_set():
                return
            connection.sendall(piece)

    return behave


def body(content: bytes) -> Behaviour:
    """An answer like any other."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(OK + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(content) + content)

    return behave


def asking(behave: Behaviour, asked: threading.Event) -> Behaviour:
    """The behaviour of a site, and a word when it is asked."""

    def behaviour(connection: socket.socket, over: threading.Event) -> None:
        asked.set()
        behave(connection, over)

    return behaviour


def gz_of_zeros(size: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


def long_header(kind: bytes, size: int) -> bytes:
    """A tar.gz with an extended header of that size."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, size
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = packer.compress(header.tobuf(tarfile.GNU_FORMAT))
    return packed + b"".join(packer.compress(b"a" * MIB) for _ in range(size // MIB)) + packer.flush()


def sparse() -> bytes:
    """A tar of four blocks whose one member has a hole of 2^45 bytes: GNU tar, old sparse format."""
    header = bytearray(tarfile.TarInfo("disk.raw").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[386:410] = b"%011o\0%011o\0" % (0, 0)
    header[483:495] = b"\x80" + (2**45).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(3 * 512)


def xz_with_dictionary(size: int) -> bytes:
    """Random bytes twice, so far apart that the dictionary is needed."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 4096}]
    packed = bytearray(lzma.compress(b"\0disk" * 1000, lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=filters))
    # The block header: size, flags, filter id 0x21, one byte of properties, which says the size of the dictionary.
    at = packed.index(b"\x21\x01", 12) + 2
    packed[at] = next(bits for bits in range(41) if (2 | (bits & 1)) << (bits // 2 + 11) >= size)
    end = 12 + (packed[12] + 1) * 4
    packed[end - 4 : end] = struct.pack("<I", zlib.crc32(bytes(packed[12 : end - 4])))
    return bytes(packed)


def zst_with_window(bits: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=bits)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(b"\0disk" * MIB) + packer.flush()


def qcow2_of(size: int) -> bytes:
    return struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 0, 0, 16, size).ljust(512, b"\0")
