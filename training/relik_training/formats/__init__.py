"""Annotated texts in the formats of others: one module a format, and what they share.

`table.FORMATS` names them, `convert.convert` runs a conversion. Nothing here imports torch.
"""
