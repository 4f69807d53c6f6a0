"""The archive: everything that was ever read, in SQLite or PostgreSQL, through SQLAlchemy Core.

`archive` opens it and owns its transactions, `schema` says what the tables are, and the other modules each hold the
statements for one concern. They take a connection and give values of `model`.
"""
