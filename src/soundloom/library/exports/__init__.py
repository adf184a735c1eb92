"""Files that are written of a library: its embeddings, the distances between them, and copies of its sounds."""
