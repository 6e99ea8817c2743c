-- question: the outcome of every item of an archive, and how many belong to vanished files
-- one row: one outcome and its reason, with the number of items
-- parameter: $archive text = ''  the archive's given name
-- example: shown by `xray-mining ingest`
with
accounts as (
    select
        'kept' as outcome,
        '' as reason,
        file_key
    from images
    where archive = $archive
    union all
    select
        'duplicate' as outcome,
        reason,
        file_key
    from duplicates
    where archive = $archive
    union all
    select
        'rejected' as outcome,
        reason,
        file_key
    from rejects
    where archive = $archive
),

outcomes as (
    select
        accounts.outcome,
        accounts.reason,
        count(*) as accounts,
        count(vanished_files.file_key) as gone
    from accounts
    left join vanished_files
        on
            accounts.file_key = vanished_files.file_key
            and vanished_files.archive = $archive
    group by accounts.outcome, accounts.reason
)

select
    outcome,
    reason,
    accounts,
    gone
from outcomes
union all
select
    'kept' as outcome,
    '' as reason,
    0 as accounts,
    0 as gone
from (select count(*) filter (where outcome = 'kept') as kept from outcomes) as totals
where kept = 0
order by outcome, accounts desc, reason
