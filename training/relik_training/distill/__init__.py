"""Knowledge distillation: losses of a student that learns from a larger teacher and the labels."""
