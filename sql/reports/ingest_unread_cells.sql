-- question: which stated cells of an archive's tables and headers could not be read, and why
-- one row: one value that cells state, and one reason
-- parameter: $archive text = ''  the archive's given name
-- example: shown by `xray-mining ingest`
select
    name,
    reason,
    cast(sum(cells) as bigint) as cells
from unread_cells
where archive = $archive
group by name, reason
order by cells desc, name, reason
