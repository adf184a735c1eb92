"""Files that are written of embeddings and of a library: embeddings, distances between them, and copies of sounds."""
