"""One suite for views, run on SQLite's file and memory and on Postgres."""
