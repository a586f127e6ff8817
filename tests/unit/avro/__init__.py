"""Examples of schemas, codecs, catalogues and hostile bodies."""
