-- question: which files or frames could not be used, and why
-- one row: one reason at one stage of reading in one archive
-- example: xray-mining sql sql/reports/archive_rejects.sql
select
    archive,
    stage,
    reason,
    count(*) as rejects,
    cast(sum(bytes) as bigint) as bytes
from rejects
group by archive, stage, reason
order by rejects desc, archive, stage, reason
