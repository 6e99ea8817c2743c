-- question: which files of an archive could not be used, a few for each reason
-- one row: one file, archive member or table row and one reason, however many frames it has
-- parameter: $archive text = ''  the archive's given name
-- parameter: $each integer = 5  number of files for each reason
-- example: shown by `xray-mining ingest`
with
files as (
    select
        reason,
        shard,
        position,
        min(sentence) as sentence
    from rejects
    where archive = $archive
    group by reason, shard, position
)

select
    reason,
    shard,
    position,
    sentence,
    count(*) over (partition by reason) as files
from files
qualify row_number() over (partition by reason order by shard, position) <= $each
order by min(shard) over (partition by reason), reason, shard, position
