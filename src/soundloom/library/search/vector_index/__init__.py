"""Search index on disk: standardised embeddings, their inverted file, a manifest with checksums, and the builder."""
