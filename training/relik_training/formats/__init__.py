"""Converters of annotated data sets: one module per format, and their common parts.

`table.FORMATS` lists the formats, `convert.convert` runs a conversion. No module imports torch.
"""
