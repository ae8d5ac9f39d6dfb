"""Hand-written rules of the reader, which stand beside what it learned."""
