-- check: IDS002 warning archive
-- question: masks that could not be read or do not fit their picture, and were not taken
-- one row: one mask with the reason; how many there are in all
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
