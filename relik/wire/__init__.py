"""The wire format of annotated documents."""
