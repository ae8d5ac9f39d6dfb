"""The JSON shape of annotated documents."""
