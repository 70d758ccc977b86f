"""The window over `core`: thin, in Qt. What needs a test without Qt belongs in `core`."""
