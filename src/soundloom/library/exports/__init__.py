"""Files that are written of a whole library: its embeddings, and the distances between them."""
