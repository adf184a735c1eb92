"""Tables of the store, whose files are checked against their checksums."""
