"""Search for duplicates in a library: exact ones by their content, near ones by audio fingerprints."""
