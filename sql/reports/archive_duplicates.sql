-- question: how many files repeat an earlier one, and what is equal
-- one row: one reason in one archive
-- example: xray-mining sql sql/reports/archive_duplicates.sql
select
    archive,
    reason,
    count(*) as files,
    count(distinct image_key) as keepers
from duplicates
group by archive, reason
order by files desc, archive, reason
