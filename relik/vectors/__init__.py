"""Vector indexes: exact search in numpy, FAISS, and the index of records without vectors."""
