"""How it is answered: read, retrieve, decide, card, write, cite."""
