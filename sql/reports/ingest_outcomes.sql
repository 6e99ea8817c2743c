-- question: what became of every account of an archive
-- one row: one outcome and its reason, with how many accounts have it
-- parameter: $archive text = ''  the archive's given name
-- example: shown by `xray-mining ingest`
select
    'kept' as outcome,
    '' as reason,
    count(*) as accounts
from images
where archive = $archive
union all
select
    'duplicate' as outcome,
    reason,
    count(*) as accounts
from duplicates
where archive = $archive
group by reason
union all
select
    'rejected' as outcome,
    reason,
    count(*) as accounts
from rejects
where archive = $archive
group by reason
order by outcome, accounts desc, reason
