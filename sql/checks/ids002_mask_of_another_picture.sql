-- check: IDS002 warning archive
-- question: masks that could not be read or do not fit their picture, and are not used
-- one row: one mask with the reason, and the number of all such masks
-- example: xray-mining check
select
    image_key,
    archive,
    structures,
    reason,
    sentence,
    count(*) over () as in_all
from mask_faults
order by archive, reason, image_key, structures
limit 20
