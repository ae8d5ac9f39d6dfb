"""Training for closed schemas: types in the place of entities."""
