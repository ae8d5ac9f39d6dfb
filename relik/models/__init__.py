"""Models as torch modules: encoder, reader, and the backbones that they share."""
