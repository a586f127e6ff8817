"""The program `eventcore`: one file a group of verbs. `main` is its entry, `program` holds the verbs together."""
