"""DuckDB: merge, queries, cohorts, checks."""
