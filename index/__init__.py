"""How it is found: passages, embeddings, vectors, words, signatures, and generations of them on disk."""
