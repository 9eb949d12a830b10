"""Who signed this: signatures, keys and verdicts; nothing is trusted but pinned fingerprints."""
