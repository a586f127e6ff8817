"""Properties of the codec, against fastavro and avro."""
