"""The two-dimensional map of a library: layout, clusters, storage."""
