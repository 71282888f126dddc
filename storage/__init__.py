"""The on-disk store: turns, landmarks and chunk K/V; bytes in, bytes out."""
