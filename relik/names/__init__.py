"""Surface forms: normalisation, the trie of names, and what a name may mean."""
