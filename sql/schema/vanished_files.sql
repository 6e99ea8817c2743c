-- question: which files of the archives no longer exist
-- one row: one file whose last event says that it vanished
-- example: select count(*) from vanished_files
create or replace view vanished_files as
select
    file_key,
    archive,
    max(run) as run
from file_events
group by file_key, archive
having arg_max(event, run) = 'vanished';
