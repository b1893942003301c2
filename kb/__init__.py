"""What we know: entry types, the reader and checker of entry files, and the entries themselves."""
