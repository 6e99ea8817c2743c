-- check: AGE001 warning archive
-- question: an age text that no patient can have
-- one row: one image whose age was discarded
-- example: xray-mining check
select
    image_key,
    archive,
    age_raw
from images
where age_raw is not null or age_years > 120
order by image_key
