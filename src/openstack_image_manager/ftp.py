"""Door to FTP: one file of a server, open for reading."""

from __future__ import annotations

import ftplib
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit


class Transfer:
    """The body of a file and its size, if the server tells; closes both of FTP's connections.

    Raises OSError or EOFError where another try may help, ValueError where none will.
    """

    def __init__(self, url: str, timeout: float) -> None:
        # Not urllib: it takes a list of files for a file, and does not tell when a transfer ends too early.
        parts = urlsplit(url)
        path = unquote(parts.path[1:])
        self.size: int | None = None
        self._ftp = ftplib.FTP(timeout=timeout)
        self._body: Any = None
        try:
            self._ftp.connect(parts.hostname or "", parts.port or ftplib.FTP_PORT)
            self._ftp.login(unquote(parts.username or ""), unquote(parts.password or ""))
            self._ftp.voidcmd("TYPE I")
            with suppress(ftplib.error_perm):  # a server need not know this command
                self.size = self._ftp.size(path)
            with self._ftp.transfercmd(f"RETR {path}") as connection:
                self._body = connection.makefile("rb")
        except ftplib.error_temp as error:
            self.close()
            raise ConnectionError(str(error)) from None
        except ftplib.Error as error:
            self.close()
            raise ValueError(str(error)) from None
        except BaseException:  # ValueError: a line break in the path
            self.close()
            raise

    def read1(self, size: int) -> bytes:
        """What one read gives, at most `size` bytes."""
        chunk: bytes = self._body.read1(size)
        return chunk

    def close(self) -> None:
        """Close what is open."""
        for each in (self._body, self._ftp):
            if each is not None:
                each.close()
