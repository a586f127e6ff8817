"""Avro: schemas from value classes, generated codecs, framing, catalogues, frozen files and a generic reader."""
