-- question: which masks of the archives are not used, and why
-- one row: one reason in one archive
-- example: xray-mining sql sql/reports/archive_mask_faults.sql
select
    archive,
    reason,
    count(*) as masks,
    count(distinct image_key) as images
from mask_faults
group by archive, reason
order by masks desc, archive, reason
