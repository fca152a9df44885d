"""One TLS connection of pyOpenSSL as asyncio and uvloop want it: like an `ssl.SSLObject`."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator

from cryptography import x509
from OpenSSL import SSL

_CHUNK = 32_768


class TlsObject:
    """Encrypted bytes come in one BIO and leave by the other; plain ones are read and written.

    Raises the errors of the `ssl` module, as `ssl.SSLObject` does.
    """

    def __init__(
        self, connection: SSL.Connection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        """Take a new connection of the server's side."""
        connection.set_accept_state()
        self._connection = connection
        self._incoming = incoming
        self._outgoing = outgoing
        self._more = False
        self._ended = False

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        with self._moving():
            self._connection.do_handshake()

    def read(self, length: int = _CHUNK, buffer: memoryview | bytearray | None = None) -> object:
        """Return plain bytes, or put them into `buffer` and return how many; none at the end."""
        try:
            with self._moving():
                if buffer is None:
                    return self._connection.recv(length)
                return self._connection.recv_into(buffer, length)
        except ssl.SSLWantReadError:
            self._more = False
            raise
        except ssl.SSLZeroReturnError:
            self._more = False
            return b"" if buffer is None else 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Encrypt `data` and return how much of it."""
        if not data:
            return 0
        with self._moving():
            return self._connection.send(data)

    def pending(self) -> int:
        """Return how many bytes may be read: at least 1 until a read has found nothing.

        uvloop reads on while this or the incoming BIO holds something, and whatever is done here
        first empties that BIO into pyOpenSSL's own.
        """
        return self._connection.pending() or int(self._more)

    def unwrap(self) -> None:
        """Say goodbye; done once the client has said it too."""
        with self._moving():
            done = self._connection.shutdown()
        if not done:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the client has not said goodbye")

    def getpeercert(self) -> None:
        """Return nothing: no certificate was verified. See `peer_certificate`."""

    def peer_certificate(self) -> x509.Certificate | None:
        """Return the client's certificate, whose key it has; nothing else of it was checked.

        Raises ValueError where it cannot be read.
        """
        return self._connection.get_peer_certificate(as_cryptography=True)

    def cipher(self) -> tuple[str, str, int] | None:
        """Return name, protocol and bits of the cipher."""
        name = self._connection.get_cipher_name()
        if name is None:
            return None
        return (
            name,
            self._connection.get_cipher_version() or "",
            self._connection.get_cipher_bits() or 0,
        )

    def compression(self) -> None:
        """Return nothing: there is none."""

    def version(self) -> str:
        """Return the version of TLS, such as ``TLSv1.3``."""
        return self._connection.get_protocol_version_name()

    @contextlib.contextmanager
    def _moving(self) -> Iterator[None]:
        """Bring what has come in, do the block, and take what is to go out."""
        data = self._incoming.read()
        self._more = self._more or bool(data)
        while data:
            data = data[self._connection.bio_write(data) :]
        if self._incoming.eof and not self._ended:
            self._ended = True
            self._connection.bio_shutdown()
        try:
            with _translated():
                yield
        finally:
            # Reading from an empty BIO is an error of pyOpenSSL.
            with contextlib.suppress(SSL.WantReadError):
                while True:
                    self._outgoing.write(self._connection.bio_read(_CHUNK))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SSL.WantReadError:
        raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "more is to come") from None
    except SSL.WantWriteError:
        raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "more is to go") from None
    except SSL.ZeroReturnError:
        raise ssl.SSLZeroReturnError(ssl.SSL_ERROR_ZERO_RETURN, "the client has ended") from None
    except SSL.SysCallError as error:
        raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, str(error)) from None
    except SSL.Error as error:
        raise ssl.SSLError(ssl.SSL_ERROR_SSL, str(error)) from None
