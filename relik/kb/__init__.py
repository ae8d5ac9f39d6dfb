"""Knowledge base: records, names and ids, memory-mapped."""
