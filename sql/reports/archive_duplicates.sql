-- question: how many files show what an earlier one shows, and what of them is equal
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
