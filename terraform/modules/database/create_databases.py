"""Creates the databases of the other two users of this PostgreSQL: RDS makes only the first, `accounts`.

Given to `python -c` in a task with the worker's image; PGHOST, PGUSER, PGPASSWORD and PGDATABASE say where.
"""

import psycopg
from psycopg import sql

WANTED = ("mlflow", "feast")

with psycopg.connect(autocommit=True) as connection:
    there = {name for (name,) in connection.execute("select datname from pg_database")}
    for name in WANTED:
        if name not in there:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        print(f"{name}: {'was there' if name in there else 'created'}")
