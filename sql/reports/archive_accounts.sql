-- question: the outcome of every item that was read: kept, duplicate or rejected, and why
-- one row: one outcome with one reason in one archive
-- example: xray-mining sql sql/reports/archive_accounts.sql
select
    archive,
    'kept' as outcome,
    '' as reason,
    count(*) as accounts
from images
group by archive
union all by name
select
    archive,
    'duplicate' as outcome,
    reason,
    count(*) as accounts
from duplicates
group by archive, reason
union all by name
select
    archive,
    'rejected' as outcome,
    reason,
    count(*) as accounts
from rejects
group by archive, reason
order by archive, outcome, accounts desc, reason
