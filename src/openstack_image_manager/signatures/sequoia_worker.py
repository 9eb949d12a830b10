"""Check a signature with pysequoia, as a program: `python sequoia_worker.py SIGNATURE CERTIFICATE DATA`.

It prints the words of gpgv's --status-fd for one signature, so that both programs are used alike. Data streams through
(DATA is /dev/stdin), and a crash or a hang ends only this process.
"""

from __future__ import annotations

import sys


def report(signature_file: str, certificate_file: str, data_file: str) -> str:
    """Check the one signature; return the status lines."""
    import pysequoia

    signature = pysequoia.Sig.from_file(signature_file)
    certificate = pysequoia.Cert.from_file(certificate_file)
    try:
        result = pysequoia.verify(file=data_file, store=lambda _keys: [certificate], signature=signature)
    except RuntimeError:
        # The library gives no reason: bad, not made within the key's life, or a key or kind of hash it calls weak.
        return "[GNUPG:] NOTGOOD"
    (valid,) = result.valid_sigs
    made = int(signature.created.timestamp()) if signature.created else 0
    return f"[GNUPG:] GOODSIG\n[GNUPG:] VALIDSIG {valid.signing_key} - {made} 0 0 0 0 0 00 {valid.certificate}"


if __name__ == "__main__":
    print(report(*sys.argv[1:]))
