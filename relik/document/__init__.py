"""What one window cannot know: abbreviations and consistency over a document."""
