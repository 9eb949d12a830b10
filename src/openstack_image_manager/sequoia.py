"""Door to pysequoia, as a program of its own: `python sequoia.py SIGNATURE CERTIFICATE`.

Reads the signed bytes on standard input and reports on one signature with the words of gpgv's --status-fd. In this
way both are used alike: data streams through, a crash or a hang ends no more than this process.
"""

from __future__ import annotations

import sys


def main(signature_file: str, certificate_file: str) -> None:
    """Check the one signature and say what came of it."""
    import pysequoia

    signature = pysequoia.Sig.from_file(signature_file)
    certificate = pysequoia.Cert.from_file(certificate_file)
    try:
        result = pysequoia.verify(file="/dev/stdin", store=lambda _keys: [certificate], signature=signature)
    except RuntimeError:
        # The library gives no reason: bad, not made within the key's life, or a key or kind of hash it calls weak.
        print("[GNUPG:] NOTGOOD")
        return
    (valid,) = result.valid_sigs
    made = int(signature.created.timestamp()) if signature.created else 0
    print("[GNUPG:] GOODSIG")
    print(f"[GNUPG:] VALIDSIG {valid.signing_key} - {made} 0 0 0 0 0 00 {valid.certificate}")


if __name__ == "__main__":
    main(*sys.argv[1:])
