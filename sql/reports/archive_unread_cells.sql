-- question: which stated cells of tables and headers could not be read, and why
-- one row: one value that cells of one archive or linked table state, and one reason
-- example: xray-mining sql sql/reports/archive_unread_cells.sql
select
    archive,
    source,
    name,
    reason,
    cast(sum(cells) as bigint) as cells
from unread_cells
group by archive, source, name, reason
order by cells desc, archive, source, name, reason
