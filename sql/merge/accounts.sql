-- question: how many images and rejects the parts of each archive hold, before duplicates are found
-- one row: one archive
-- example: run by `xray-mining merge`
with
raw_accounts as (
    select archive from raw_images
    union all
    select archive from raw_rejects
)

select
    archive,
    count(*) as accounts
from raw_accounts
group by archive
order by archive
