-- question: how many accounts the parts of each archive hold, before duplicates are settled
-- one row: one archive
-- example: run by `xray-mining merge`
select
    archive,
    count(*) as accounts
from (
    select archive from raw_images
    union all
    select archive from raw_rejects
)
group by archive
order by archive
