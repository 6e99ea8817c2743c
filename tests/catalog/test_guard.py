"""Users' SQL: every way out that we know of is refused with one sentence, and the wall behind the door holds too."""

import re
import time
from pathlib import Path

import duckdb
import polars as pl
import pytest
import sqlglot
from sqlglot import exp

from xray_mining.catalog import connection, functions, guard
from xray_mining.catalog.connection import frame, guarded
from xray_mining.catalog.guard import LONGEST_CHARACTERS, one_select
from xray_mining.catalog.query import known_tables, sql, tables
from xray_mining.errors import CannotFinish, UserError
from xray_mining.records.images import Images
from xray_mining.workspace import Workspace

ROOT = Path(__file__).parents[2]
# {secret}: a file that lies outside the workspace; {out}: a file that must not come into being
WAYS_OUT = (
    "select * from '{secret}'",
    "select * from read_csv('{secret}')",
    "select * from read_csv_auto('{secret}')",
    "select * from read_text('{secret}')",
    "select * from read_blob('{secret}')",
    "select * from read_json('{secret}')",
    "select * from read_parquet('{secret}')",
    "select * from parquet_scan('{secret}')",
    "select * from parquet_metadata('{secret}')",
    "select * from sniff_csv('{secret}')",
    "select * from glob('/*')",
    'select * from "{secret}"',
    "select * from 'https://example.org/x.parquet'",
    "with x as (select * from read_text('{secret}')) select * from x",
    "select (select content from read_text('{secret}'))",
    "select * from images where exists (select 1 from read_csv('{secret}'))",
    "select * from query('select 1')",
    "select * from query_table('images')",
    "copy images to '{out}'",
    "copy (select 1) to '{out}' (use_tmp_file false)",
    "with x as (copy (select 1) to '{out}') select 1",
    "explain analyze copy (select 1) to '{out}'",
    "explain select 1",
    "export database '{out}'",
    "import database '{secret}'",
    "attach '{out}' as other",
    "detach catalog_file",
    "use catalog_file",
    "install httpfs",
    "load httpfs",
    "create table x as select 1",
    "create temp table x as select 1",
    "create or replace view images as select 1",
    "create macro f(x) as x",
    "create secret (type s3)",
    "insert into images select * from images",
    "with x as (delete from images returning *) select * from x",
    "update images set age_years = 3",
    "delete from images",
    "drop view images",
    "alter table images add column x int",
    "truncate images",
    "set memory_limit = '100GB'",
    "set enable_external_access = true",
    "reset enable_external_access",
    "pragma database_list",
    "pragma enable_profiling",
    "call pragma_version()",
    "select * from pragma_database_list()",
    "select * from duckdb_settings()",
    "select * from duckdb_databases()",
    "select * from duckdb_secrets()",
    "select current_setting('temp_directory')",
    "select getenv('HOME')",
    "select getvariable('x')",
    "select current_user",
    "select version()",
    "select * from json_execute_serialized_sql('x')",
    "select json_serialize_sql('select 1')",
    "select write_log('x')",
    "select sleep_ms(100000)",
    "select nextval('s')",
    "select * from catalog_file.main.about_merge",
    "select * from information_schema.tables",
    "select * from about_merge",
    "with tables as (select 1 as a) select * from information_schema.tables",
    "with tables as (select 1 as a) select t.* from tables, catalog_file.main.tables as t",
    "select * from (select map {{#1: (select string_agg(path, ' ') from duckdb_databases()) || "
    "current_setting('temp_directory')}} as m from images limit 1) t cross join (select u.a from "
    "(select image_key from images) u -- #}}\n (a))",
    "with x as (with duckdb_databases as (select 1 as a) select a from duckdb_databases) "
    "select d.path from duckdb_databases as d, x",
    "with x as (with sqlite_master as (select 1 as a) select a from sqlite_master) "
    "select d.sql from sqlite_master as d, x",
    "select 1 {{% raw %}}",
    "select 1 into x",
    "select 1; select 2",
    "select 1; copy images to '{out}'",
    "begin; select 1",
    "checkpoint",
    "vacuum",
    "analyze",
    "summarize images",
    "describe images",
    "show tables",
    "select * from (describe images)",
    "prepare p as select 1",
    "execute p",
    "comment on view images is 'x'",
    "select * from images for update",
    "",
    "-- nothing",
    "chose 1",
    "select (",
    "select " + "(" * 3000 + "1" + ")" * 3000,
    "select '" + "x" * LONGEST_CHARACTERS + "'",
)


@pytest.fixture(scope="module")
def filled(make, tmp_path_factory):
    workspace = Workspace.create(tmp_path_factory.mktemp("guard") / "workspace")
    rows = [make.image(number) for number in range(4)]
    Images.write(Images.from_rows(rows), workspace.parts("here", "images") / "00000.parquet")
    return workspace


@pytest.fixture(scope="module")
def read(filled):
    with guarded(filled) as con:
        yield con, known_tables(con)


def test_there_are_forty_ways_out_at_least():
    assert len(set(WAYS_OUT)) >= 40


@pytest.mark.parametrize("way", range(len(WAYS_OUT)), ids=lambda number: WAYS_OUT[number][:40])
def test_every_way_out_is_refused_in_one_sentence(tmp_path, way):
    folder = tmp_path
    secret, out = folder / "secret.csv", folder / "out.csv"
    secret.write_text("name\nsomebody\n")
    with pytest.raises(UserError) as refused:
        one_select(WAYS_OUT[way].format(secret=secret, out=out), "query", {"images", "eligible"})
    sentence = str(refused.value)
    assert sentence.startswith("query") and "\n" not in sentence and len(sentence) < 500
    assert not out.exists()


@pytest.mark.parametrize(
    "way", [each for each in WAYS_OUT if "{secret}" in each or "{out}" in each or "enable_external" in each]
)
def test_the_wall_holds_without_the_door(read, tmp_path, way):
    con, _ = read
    secret, out = tmp_path / "secret.csv", tmp_path / "out.csv"
    secret.write_text("name\nsomebody\n")
    with pytest.raises(duckdb.Error):
        con.execute(way.format(secret=secret, out=out)).fetchall()
    assert not out.exists()


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from images",
        "from images select image_key",
        "select patient_sex, count(*) filter (where age_years > 30) from frontal group by all order by all",
        "with a as (select 1 as b) select * from a, range(3) as r(i), unnest([1, 2]) as u(x)",
        "with recursive t(n) as (select 1 union all select n + 1 from t where n < 5) select sum(n) from t",
        "select 'copy images to ''x''; -- drop' as words, list_transform([1], lambda x: x + 1)",
        "(select 1) union all select 2 order by 1",
        "select quantile_cont(age_years, 0.5), arg_max(image_key, age_years), fold_of('s', any_value(patient_key), 5) "
        "from images",
        "select row_number() over w, lag(age_years) over w from images window w as (partition by patient_key)",
        "select * exclude (age_raw), columns('age_s.*') as more from images limit 3;",
        "select current_date - date '2000-01-01'",
        "select a.image_key from images as a semi join eligible as b using (image_key)",
    ],
)
def test_honest_queries_pass(read, query):
    con, tables = read
    one_select(query, "query", tables)
    assert frame(con, query).width


# Functions that must never be allowed, by the words in their names.
REACHING = re.compile(
    r"read_|_scan|glob|secret|setting|getenv|getvariable|write_|copy|query|sql_|duckdb_|pragma_|parquet|sleep|nextval"
    r"|currval|user|schema|database|^version$|checkpoint|__|execute|load_|enable_|disable_|sniff|txid|seed|log_"
)


def test_the_listed_functions_are_known_to_duckdb_and_none_reaches_out():
    with duckdb.connect() as con:
        known = {
            name for (name,) in con.execute("select distinct lower(function_name) from duckdb_functions()").fetchall()
        }
        tables = {
            name
            for (name,) in con.execute(
                "select distinct lower(function_name) from duckdb_functions() where function_type not in "
                "('scalar', 'aggregate', 'macro', 'window')"
            ).fetchall()
        }
    syntax = {"case", "cast", "coalesce", "columns", "exists", "extract", "grouping", "grouping_id", "if", "iff"}
    assert functions.WRITTEN - known <= syntax | {
        "ifnull",
        "nvl",
        "try_cast",
        "unnest",
        "fold_of",
        "overlay",
        "position",
    }
    assert functions.WRITTEN & tables <= {
        "generate_series",
        "range",
        "unnest",
        "repeat",
        "histogram",
    }  # the last two as tables are refused
    assert not [name for name in functions.WRITTEN | functions.PARSED if REACHING.search(name)]


def test_a_function_that_is_not_listed_is_refused():
    with duckdb.connect() as con:
        known = con.execute("select distinct lower(function_name) from duckdb_functions()").fetchall()
    names = {name for (name,) in known if re.fullmatch("[a-z_][a-z0-9_]*", name)} - functions.WRITTEN
    assert len(names) > 400
    for name in sorted(names):
        with pytest.raises(UserError):
            one_select(f"select {name}(1)", "query", set())
    typed = [each for each in vars(exp).values() if isinstance(each, type) and issubclass(each, exp.Func)]
    unnamed = (exp.Anonymous, exp.AnonymousAggFunc)
    typed = [each for each in typed if each not in (exp.Func, exp.AggFunc) and not issubclass(each, unnamed)]
    refused = [each for each in typed if each.sql_name().lower() not in functions.WRITTEN | functions.PARSED]
    assert {exp.ReadCSV, exp.ReadParquet, exp.CurrentUser, exp.CurrentSchema} <= set(refused)
    for each in refused:
        with pytest.raises(UserError, match="is not allowed"):
            guard._refuse_function(each(), "query")


def _sql_of_docs() -> list[str]:
    """The queries in the README and docs: fenced as sql, or given to the command or to work.sql."""
    found = []
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        found += re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
        found += re.findall(r"xray-mining sql \"([^-\"][^\"]*)\"", text)
        found += re.findall(r"work\.sql\([^\"]*\"\"\"(.*?)\"\"\"", text, re.DOTALL)
    return found


def test_every_function_of_the_shipped_sql_and_of_the_docs_is_listed():
    shipped = [
        path.read_text() for room in ("cohorts", "checks", "reports") for path in (ROOT / "sql" / room).glob("*.sql")
    ]
    queries = shipped + _sql_of_docs()
    assert len(shipped) > 40
    assert len(queries) > len(shipped)
    for query in queries:
        for statement in sqlglot.parse(query, dialect="duckdb"):
            for node in statement.find_all(exp.Func) if statement else ():
                guard._refuse_function(node, query[:60])


CHANCES = (
    *("random()", "uuid()", "now()", "hash(1)", "today()", "localtimestamp", "localtime", '"localtimestamp"'),
    *(
        "current_localtimestamp",
        "current_localtimestamp()",
        "age(date '2000-01-01')",
        "approx_count_distinct(age_years)",
    ),
    *("approx_quantile(age_years, 0.5)", "approx_top_k(age_years, 3)", "any_value(age_years)", "first(age_years)"),
    *("arbitrary(age_years)", "last(age_years) filter (where true)", "row_number() over ()"),
    *("row_number() over (partition by patient_key)", "lag(age_years) over w", "first_value(age_years) over w"),
)


@pytest.mark.parametrize(
    "query",
    [
        *(f"select {each} from images window w as (partition by patient_key)" for each in CHANCES),
        "select * from images using sample 10",
        "select * from images tablesample 10%",
        "select * from images limit 3",
        "select * from (select * from images limit 3) order by image_key",
        "select * from images fetch first 3 rows only",
        "select * from images offset 3",
        "select distinct on (patient_key) image_key, patient_key from images",
    ],
)
def test_cohorts_may_not_depend_on_the_run(query):
    with pytest.raises(UserError, match="run to run") as refused:
        one_select(query, "cohort x", {"images"}, repeatable=True)
    assert str(refused.value).startswith("cohort x: ")
    one_select(query, "query", {"images"})


@pytest.mark.parametrize(
    "query",
    [
        "select * from images order by image_key limit 3",
        "select first(age_years order by image_key), any_value(age_years order by image_key) from images",
        "select row_number() over w, lag(age_years) over (partition by patient_key order by image_key) from images "
        "window w as (order by image_key)",
        "select distinct on (patient_key) image_key from images order by patient_key, image_key",
        "select age(date '2000-01-01', date '2001-01-01'), count(*) over (partition by patient_key) from images",
    ],
)
def test_what_says_which_rows_it_takes_may_be_a_cohort(query):
    one_select(query, "cohort x", {"images"}, repeatable=True)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select age_yeers from images", "'age_yeers' is unknown; did you mean 'age_years'"),
        ("select * from imagess", "'imagess' is unknown; did you mean 'images'"),
        ("select medan(age_years) from images", "'medan' is unknown; did you mean 'median'"),
        ("select * from images where age_years > $oldest", "parameter 'oldest' has no value"),
    ],
)
def test_the_nearest_name_is_offered(filled, query, words):
    with pytest.raises(UserError, match=words.replace("(", r"\(")):
        sql(filled, query)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select sex from images", "did you mean 'patient_sex'"),
        ("select images.agee_years from images", "did you mean 'age_years'"),
        ("select i.view from images as i", "'view_position'"),
        ("select patient_age from images", "'age_years'"),
        ("select zzz from vanished_files", "known columns are archive, file_key, run"),
        ("with x as (select 1 as apples) select aples from x", "did you mean 'apples'"),
    ],
)
def test_columns_are_offered_by_likeness_and_listed_where_nothing_is_near(filled, query, words):
    with pytest.raises(UserError, match="is unknown") as refused:
        sql(filled, query)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


ASKED_FOR_MORE = (
    "describe select * from read_csv('/etc/passwd')",
    "describe (select content from read_text('/etc/passwd'))",
    "describe (select getenv('HOME'))",
    "describe (select getenv('HOME')) union (select 1)",
    "describe with x as (select getenv('HOME')) select * from x",
    "-- a word\ndescribe from read_text('/etc/passwd')",
    "describe /etc/passwd",
    "describe '/etc/passwd'",
    'show "/etc/passwd"',
    "desc read_csv('/etc/passwd')",
    "from (show all tables)",
    "from (describe images)",
    "select * from (show tables)",
    "with x as (summarize images) from x",
    "summarize",
    "summarize images",
    "summarize '/etc/passwd'",
    "summarize select * from read_csv('/etc/passwd')",
    "show tables from information_schema",
    "show tables from catalog_file",
    "show databases",
    "show create table images",
    "show tables; select 1",
    "describe images; select getenv('HOME')",
    "describe about_merge",
    "describe catalog_file.about_merge",
    "describe duckdb_settings()",
    "describe duckdb_settings",
    "show memory_limit",
    "describe select * from duckdb_settings()",
    "/etc/passwd",
    "select 1 +",
    "select from where",
    "select case when",
    "select * from images where ; select 2",
    "select 'a",
)


@pytest.mark.parametrize("query", ASKED_FOR_MORE)
def test_what_describes_reads_no_file_and_shows_no_setting(filled, query, monkeypatch):
    monkeypatch.setenv("HOME", "/home/of-nobody-else")
    with pytest.raises(UserError) as refused:
        sql(filled, query)
    sentence = str(refused.value)
    assert sentence.startswith("query")
    assert "\n" not in sentence
    assert len(sentence) < 700
    for part in ("Token", "sqlglot", "<class", "root:", "of-nobody-else", "\x1b"):
        assert part not in sentence


@pytest.mark.parametrize("query", ["show tables", "SHOW ALL TABLES;", "describe", "-- all\n/* */ show tables ;"])
def test_tables_are_listed_with_what_a_row_is(filled, query):
    rows = sql(filled, query)
    assert {"images", "eligible", "frontal", "predictions"} <= set(rows["table"])
    assert not {"about_merge", "masks"} & set(rows["table"])
    assert rows["one_row"].str.len_chars().min() > 10
    for table, columns in rows.select("table", "columns").iter_rows():
        assert columns == sql(filled, f"describe {table}").height, table


@pytest.mark.parametrize(
    "query", ["describe images", "desc images;", "DESCRIBE TABLE images", 'show "images"', "show columns from images"]
)
def test_a_tables_columns_are_listed_with_their_meaning(filled, query):
    rows = sql(filled, query)
    assert rows["column"].to_list() == Images.column_names()
    assert rows["meaning"].str.len_chars().min() > 2
    age = rows.row(by_predicate=pl.col("column") == "age_years", named=True)
    assert (age["type"], age["unit"]) == ("double", "years")


def test_views_and_queries_are_described_by_the_columns_that_they_pass_on(filled):
    assert sql(filled, "describe frontal").rows() == sql(filled, "describe images").rows()
    rows = sql(filled, "describe (select patient_sex, avg(age_years) as mean from images group by all)")
    assert rows["column"].to_list() == ["patient_sex", "mean"]
    assert rows["meaning"].to_list() == ["PatientSex; O is other (M, F, O)", ""]
    assert tables(filled, "images").rows() == sql(filled, "describe images").rows()
    assert tables(filled).rows() == sql(filled, "show tables").rows()
    for ask in (lambda: tables(filled, "imagess"), lambda: sql(filled, "describe imagess")):
        with pytest.raises(UserError, match="did you mean 'images'"):
            ask()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("interval 1 day", "1 day"),
        ("age(date '2020-01-01', date '1960-01-01')", "60 years"),
        ("[interval 1 day]", "[1 day]"),
        ("'101'::bit", "101"),
        ("union_value(a := 1)", "1"),
        ("'12:00:00+01'::timetz", "12:00:00+01"),
        ("timestamp_ns '2020-01-02 03:04:05'::varchar", "2020-01-02 03:04:05"),
    ],
)
def test_what_has_no_type_elsewhere_is_text(filled, value, text):
    rows = sql(filled, f"select {value} as x, 1 as y, timestamp_ns '2020-01-02 03:04:05' as z").rows()
    assert rows[0][:2] == (text, 1)


def test_spans_of_time_under_names_that_differ_in_capitals_alone(filled):
    rows = sql(filled, 'select interval 1 day as "a b", 2 as y, interval 3 day as "A B"')
    assert rows.to_dicts() == [{"a b": "1 day", "y": 2, "A B": "3 days"}]
    with pytest.raises(UserError, match="two columns have one name"):
        sql(filled, "select interval 1 day as a, interval 2 day as a")


@pytest.mark.parametrize("value", ["'infinity'::date", "'-infinity'::timestamp", "'infinity'::timestamptz"])
def test_dates_without_end_are_refused_in_a_sentence(filled, value):
    with pytest.raises(UserError, match="column 'x' holds dates outside"):
        sql(filled, f"select {value} as x")


@pytest.mark.parametrize(
    ("raw", "right"),
    [
        (b"\xef\xbb\xbfselect 7 as n", True),
        ("select 7 as n -- Gr\u00f6\u00dfe".encode("utf-16"), True),
        ("select 7 as n -- Gr\u00f6\u00dfe".encode("latin-1"), False),
    ],
)
def test_files_with_a_mark_are_read_and_other_encodings_named(filled, tmp_path, raw, right):
    path = tmp_path / "q.sql"
    path.write_bytes(raw)
    if right:
        assert sql(filled, str(path)).rows() == [(7,)]
    else:
        with pytest.raises(UserError, match=r"q.sql: is not in the encoding UTF-8 \(see line 1\)"):
            sql(filled, str(path))


@pytest.mark.parametrize(
    "query",
    [
        "select age_years + 'a' from images",
        "select sum(patient_sex) from images",
        "select patient_sex, age_years from images group by patient_sex",
        "select length(1, 2)",
        "select * from images where age_years = 'x'",
        "select 1 union select 1, 2",
        "select images.x.y.z from images",
    ],
)
def test_duckdbs_own_words_are_one_sentence(filled, query):
    with pytest.raises(UserError) as refused:
        sql(filled, query)
    sentence = str(refused.value)
    assert sentence.startswith("query: ")
    assert not any(part in sentence for part in ("\n", "\t", "LINE 1", "Error:", "^"))


def test_a_parameter_that_is_not_used_is_named(filled):
    with pytest.raises(UserError, match="parameter 'oldest' is not used"):
        sql(filled, "select 1", {"oldest": 3})


def test_a_query_that_takes_too_long_is_stopped(filled):
    with pytest.raises(CannotFinish, match="stopped after"):
        sql(filled, "select sum(a.range * b.range) from range(10000000) as a, range(10000000) as b", seconds=0.3)


def test_a_query_that_begins_when_its_time_is_over_is_stopped_too(filled):
    with pytest.raises(CannotFinish, match="stopped after"), guarded(filled, seconds=0.1) as con:
        time.sleep(0.3)  # the first interrupt meets no query
        frame(con, "select sum(a.range * b.range) from range(100000) as a, range(100000) as b")


def test_a_query_that_is_stopped_after_its_first_rows_says_so(filled):
    with pytest.raises(CannotFinish, match="stopped after"):
        sql(filled, "select md5(range::varchar)[:1] as x from range(100000000)", seconds=0.3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [("error('this is odd')", "query: this is odd"), ("'x'::varchar::int", "query: Could not convert string 'x'")],
)
def test_what_goes_wrong_after_the_first_rows_is_one_sentence(filled, wrong, words):
    with pytest.raises(UserError, match=words) as refused:
        sql(filled, f"select case when range > 500000 then {wrong} else range end as x from range(1000000)")
    assert "\n" not in str(refused.value)


def test_what_spills_more_than_is_allowed_is_refused(filled, monkeypatch):
    monkeypatch.setattr(connection, "SPILL_LIMIT", "1MB")
    monkeypatch.setattr(connection, "MEMORY_LIMIT", "60MB")
    with pytest.raises(CannotFinish, match="60MB of memory and 1MB of disk"):
        sql(filled, "select range, md5(range::varchar) as word from range(2000000) order by word")


def test_the_size_is_looked_at_before_many_wide_rows_are_read(filled, monkeypatch):
    monkeypatch.setattr(connection, "RESULT_BYTES", 1 << 20)
    wide = "select if(range = 90000, error('read too far'), repeat('x', 1000)) as x from range(100000)"
    with pytest.raises(CannotFinish, match="larger than 1 MiB"):
        sql(filled, wide)


def test_a_result_that_would_fill_the_memory_is_refused(filled):
    with pytest.raises(CannotFinish, match="larger than"):
        sql(filled, "select repeat('x', 1000) from range(2000000)")


def test_two_columns_of_one_name_are_refused(filled):
    with pytest.raises(UserError, match="one name"):
        sql(filled, "select columns('age_.*') as more from images")


def test_a_value_is_bound_never_pasted(filled):
    assert sql(filled, "select $a as a", {"a": "1'; drop view images; --"})["a"][0].startswith("1'; drop")
